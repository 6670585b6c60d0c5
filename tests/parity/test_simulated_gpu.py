"""The shipped model through the whole TensorRT runtime: the device is simulated, the logits are true."""

import hashlib
import shutil
import sys
import types

import numpy as np
import pytest

from fer_engine import Engine
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import Plan
from fer_train import synthetic
from simulated.cudart import SimulatedCudart
from simulated.tensorrt import SimulatedTensorRt, make_plan

BUCKETS = (1, 8, 32, 64)
FACES = 150
# The stand-in computes with ONNX Runtime too, in batches of other sizes: sums may be taken in another order.
DIFFERENCE = 1e-5


@pytest.fixture
def device(monkeypatch):
    """Put the stand-ins where `tensorrt` and `cuda-bindings` would be."""
    device = SimulatedCudart()
    bindings = types.ModuleType("cuda.bindings")
    bindings.runtime = device
    monkeypatch.setitem(sys.modules, "tensorrt", SimulatedTensorRt(device))
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    return device


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_shipped_model(artifact, device, tmp_path, precision):
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    add_plan(folder, precision)
    faces = synthetic.faces(FACES, seed=1)
    with Engine.load(folder, precision=precision) as engine:
        expected = engine.logits(faces)
    with Engine.load(folder, precision=precision, backend="tensorrt", device="cuda") as engine:
        for size in (1, 7, FACES):
            logits = np.concatenate([engine.logits(faces[at : at + size]) for at in range(0, FACES, size)])
            np.testing.assert_allclose(logits, expected, atol=DIFFERENCE * np.ptp(expected))
    assert device.leaks() == {}


def add_plan(folder, precision):
    opened = Artifact.open(folder)
    content = make_plan(opened.read_graph(precision), [(size,) * 3 for size in BUCKETS])
    plan = Plan(
        flavour="tensorrt",
        version=SimulatedTensorRt.__version__,
        cuda=None,
        gpu="Simulated GPU",
        compute_capabilities=("8.9",),
        precision=precision,
        profiles=tuple((size,) * 3 for size in BUCKETS),
        source=opened.files[precision].path,
        source_sha256=opened.files[precision].sha256,
        calibration_sha256=None,
        layers={precision: 1.0},
        options={},
        build_seconds=0.0,
        plan_sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )
    opened.plans.write(plan, content)
