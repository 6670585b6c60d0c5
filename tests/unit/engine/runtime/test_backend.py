import sys
import types

import numpy as np
import pytest
from onnx import TensorProto

from fer_engine import ArtifactError, BackendError, BackendOptions, ConfigError, Engine
from fer_engine.runtime.backend import BACKENDS, Backend, available_backends, find_backend

RUNTIMES = ("onnxruntime", "openvino")
ON_CPU = [name for name, entry in BACKENDS.items() if "cpu" in entry.devices]
ON_CPU_ALONE = [name for name in ON_CPU if BACKENDS[name].devices == ("cpu",)]


@pytest.mark.parametrize("mode", ["throughput", "latency"])
@pytest.mark.parametrize("name", ON_CPU)
def test_registered_backends_keep_the_contract(name, mode, artifact):
    kind = find_backend(name)
    assert issubclass(kind, Backend)
    assert kind.name == name
    with Engine.load(artifact.folder, backend=name, mode=mode, threads=2) as engine:
        for count in (5, 100):
            faces = artifact.faces(count)
            logits = engine.logits(faces)
            assert logits.dtype == np.float32
            assert logits.shape == (count, 3)
            if name in RUNTIMES:
                np.testing.assert_array_equal(logits, artifact.logits(faces))
        assert (engine.info.backend, engine.info.mode) == (name, mode)
        assert engine.info.providers
        assert engine._backend.workers == (1 if mode == "latency" else engine.info.threads)


def test_available_are_the_runtimes_that_can_be_imported(monkeypatch):
    assert available_backends() == RUNTIMES
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "fer_engine.backends.openvino.backend", raising=False)
    assert available_backends() == ("onnxruntime",)


def test_available_are_those_that_can_run_on_the_device(monkeypatch):
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(
            sys.modules, BACKENDS[name.replace("_", "-")].target.partition(":")[0], raising=False
        )
    assert (
        available_backends("cuda") == available_backends("cuda:1") == ("onnxruntime", "onnxruntime-tensorrt")
    )
    assert available_backends("pycuda") == ()
    with pytest.raises(
        BackendError, match=r"^unknown device 'tpu'; known: cpu, cuda, pycuda, and cuda:1 and"
    ):
        available_backends("tpu")


def test_unknown_backend_lists_the_known_ones(artifact):
    with pytest.raises(BackendError, match=f"^unknown backend 'tvm'; known: {', '.join(sorted(BACKENDS))}$"):
        Engine.load(artifact.folder, backend="tvm")


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("onnxruntime", "onnxruntime", "cpu"),
        ("onnxruntime-tensorrt", "onnxruntime", "gpu"),
        ("openvino", "openvino", "openvino"),
        ("tensorrt", "tensorrt", "tensorrt"),
        ("tensorrt-rtx", "tensorrt_rtx", "tensorrt-rtx"),
    ],
)
def test_missing_runtime_names_the_command_that_installs_it(artifact, monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, BACKENDS[name].target.partition(":")[0], raising=False)
    with pytest.raises(BackendError, match=f"backend '{name}' cannot be imported") as caught:
        Engine.load(artifact.folder, backend=name)
    assert str(caught.value).endswith(f"install its runtime with: pip install 'fer-engine[{extra}]'")


@pytest.mark.parametrize("name", ON_CPU_ALONE)
@pytest.mark.parametrize("device", ["cuda", "CPU", ""])
def test_other_devices_are_an_error(artifact, name, device):
    with pytest.raises(BackendError) as caught:
        Engine.load(artifact.folder, backend=name, device=device)
    assert str(caught.value) == f"backend {name!r} runs on device 'cpu' alone, got {device!r}"


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
@pytest.mark.parametrize("name", ["threads", "micro_batch"])
def test_options_must_be_positive_whole_numbers(name, value):
    with pytest.raises(ConfigError) as caught:
        BackendOptions(**{name: value})
    assert str(caught.value) == f"{name} must be a whole number of at least 1, or None, got {value!r}"


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match=r"^mode must be one of throughput, latency, got 'fast'$"):
        BackendOptions(mode="fast")


def test_an_unknown_rebuild_is_refused():
    with pytest.raises(ConfigError, match=r"^rebuild must be one of never, auto, got 'always'$"):
        BackendOptions(rebuild="always")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x09garbage", b"\x08\x09"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_bytes_that_are_no_graph(artifact, name, content, capfd):
    artifact.write_model(content)
    text = "is no whole ONNX file" if b"garbage" in content else f"^{name} cannot load the fp32 graph of .*"
    with pytest.raises(ArtifactError, match=f"{text}.*; (run fer-export|export it again)") as caught:
        Engine.load(artifact.folder, backend=name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"input": "images"}, "images uint8 [{batch}, 4, 4]"),
        ({"kind": TensorProto.FLOAT}, "faces float32 [{batch}, 4, 4]"),
        ({"shape": (2, 8)}, "faces uint8 [{batch}, 2, 8]"),
        ({"shape": (4, "width")}, "faces uint8 [{batch}, 4, {width}]"),
        ({"shape": (16,)}, "faces uint8 [{batch}, 16]"),
        ({"classes": 5}, "logits float32 [{batch}, 5]"),
        ({"batch": 1}, "faces uint8 [1, 4, 4]"),
    ],
)
@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("onnxruntime", {"batch": "'batch'", "width": "'width'"}),
        ("openvino", {"batch": "'?'", "width": "'?'"}),
    ],
)
def test_foreign_graph(foreign, name, axes, changes, found):
    folder = foreign(**changes)
    with pytest.raises(ArtifactError, match=r"does not fit its spec") as caught:
        Engine.load(folder, backend=name)
    assert "expected faces uint8 ['batch', 4, 4], logits float32 ['batch', 3]; got " in str(caught.value)
    assert found.format(**axes) in str(caught.value)


def test_a_runtime_of_which_half_is_left_is_one_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    monkeypatch.delitem(sys.modules, "fer_engine.backends.onnxruntime", raising=False)
    with pytest.raises(BackendError, match=r"'onnxruntime' cannot be imported .*; install its runtime with"):
        find_backend("onnxruntime")
    assert "onnxruntime" not in available_backends("cpu")
