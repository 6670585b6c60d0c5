import sys

import numpy as np
import pytest
from onnx import TensorProto

from fer_engine import ArtifactError, BackendError, BackendOptions, ConfigError, Engine
from fer_engine.backend import BACKENDS, Backend, find


@pytest.mark.parametrize("name", BACKENDS)
def test_registered_backends_keep_the_contract(name, artifact):
    kind = find(name)
    assert issubclass(kind, Backend)
    assert kind.name == name
    with Engine.load(artifact.folder, backend=name) as engine:
        logits = engine.logits(artifact.faces(5))
        assert logits.shape == (5, 3)
        assert logits.dtype == np.float32
        assert engine.info.backend == name
        assert engine.info.providers


def test_unknown_backend_lists_the_known_ones(artifact):
    with pytest.raises(BackendError, match=r"^unknown backend 'tvm'; known: null, onnxruntime$"):
        Engine.load(artifact.folder, backend="tvm")


def test_missing_runtime_names_the_command_that_installs_it(artifact, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "fer_engine.backends.onnxruntime", raising=False)
    with pytest.raises(BackendError, match=r"backend 'onnxruntime' cannot be imported") as caught:
        Engine.load(artifact.folder)
    assert str(caught.value).endswith("install its runtime with: pip install 'fer-engine[cpu]'")


@pytest.mark.parametrize("name", ["null", "onnxruntime"])
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


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x09garbage"])
def test_bytes_that_are_no_graph(artifact, content, capfd):
    artifact.write_model(content)
    with pytest.raises(ArtifactError, match=r"^onnxruntime cannot load the fp32 graph of .*; run fer-export"):
        Engine.load(artifact.folder)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"input": "images"}, "images tensor(uint8) ['batch', 4, 4]"),
        ({"kind": TensorProto.FLOAT}, "faces tensor(float) ['batch', 4, 4]"),
        ({"shape": (2, 8)}, "faces tensor(uint8) ['batch', 2, 8]"),
        ({"shape": (4, "width")}, "faces tensor(uint8) ['batch', 4, 'width']"),
        ({"shape": (16,)}, "faces tensor(uint8) ['batch', 16]"),
        ({"classes": 5}, "logits tensor(float) ['batch', 5]"),
        ({"batch": 1}, "faces tensor(uint8) [1, 4, 4]"),
    ],
)
def test_foreign_graph(foreign, changes, found):
    folder = foreign(**changes)
    with pytest.raises(ArtifactError, match=r"does not fit its spec") as caught:
        Engine.load(folder)
    assert "expected faces tensor(uint8) ['batch', 4, 4], logits tensor(float) ['batch', 3]" in str(
        caught.value
    )
    assert found in str(caught.value)
