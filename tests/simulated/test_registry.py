"""The backends by their names, with the stand-ins where the real modules would be."""

import importlib.machinery
import sys
import types

import numpy as np
import pytest

from fer_engine import BackendError, Engine
from simulated.pycuda import SimulatedPycuda
from simulated.rig import make_faces, true_logits

NAMES = {"tensorrt": ("tensorrt", "standard"), "tensorrt-rtx": ("tensorrt_rtx", "rtx")}


@pytest.fixture(params=NAMES)
def name(request, rig, monkeypatch):
    """Install the stand-ins as modules; give the name of the backend that uses them."""
    module, backend = NAMES[request.param]
    rig.trt.__name__ = module
    bindings = types.ModuleType("cuda.bindings")
    bindings.runtime = rig.device
    rig.pycuda = SimulatedPycuda(rig.device)
    pycuda = types.ModuleType("pycuda")
    pycuda.VERSION_TEXT, pycuda.driver = "2026.1", rig.pycuda
    stand_ins = {
        module: rig.trt,
        "cuda": types.ModuleType("cuda"),
        "cuda.bindings": bindings,
        "pycuda": pycuda,
        "pycuda.driver": rig.pycuda,
    }
    for stand_in, value in stand_ins.items():
        monkeypatch.setitem(sys.modules, stand_in, value)
    rig.trt.__spec__ = importlib.machinery.ModuleSpec(module, None)
    forgotten = f"fer_engine.backends.tensorrt.{backend}"
    monkeypatch.delitem(sys.modules, forgotten, raising=False)
    yield request.param
    sys.modules.pop(forgotten, None)  # it holds the stand-in


@pytest.mark.parametrize(("where", "library"), [("cuda", "CUDA runtime 13.5"), ("pycuda", "PyCUDA 2026.1")])
def test_a_backend_by_its_name(rig, name, where, library):
    rig.make()
    faces = make_faces(37)
    with Engine.load(rig.folder, backend=name, device=where) as engine:
        np.testing.assert_array_equal(engine.logits(faces), true_logits(faces))
        info = engine.info
    assert (info.backend, info.device, info.versions[name]) == (name, where, "11.4.0.1")
    assert info.providers[1].startswith(library)


def test_another_device_than_a_gpu(rig, name):
    rig.make()
    with pytest.raises(BackendError) as caught:
        Engine.load(rig.folder, backend=name, device="cpu")
    expected = f"backend {name!r} runs on device 'pycuda', 'cuda' or another GPU such as 'cuda:1', got 'cpu'"
    assert str(caught.value) == expected


@pytest.mark.parametrize(("where", "package"), [("cuda", "cuda-bindings"), ("pycuda", "pycuda")])
def test_without_the_cuda_library(rig, name, where, package, monkeypatch):
    rig.make()
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(BackendError, match=f"^device '{where}' needs {package}, .* pip install {package}$"):
        Engine.load(rig.folder, backend=name, device=where)
