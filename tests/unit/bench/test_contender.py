import pytest

from fer_bench.contender import line_up
from fer_engine.errors import ArtifactError, BackendError, ConfigError
from fer_engine.manifest import Manifest


def names(artifact, backends=("onnxruntime",), precisions=("fp32", "int8")):
    return [entry.name for entry in line_up(artifact, Manifest.load(artifact), backends, precisions, None)]


def test_the_line_up(artifact):
    assert names(artifact) == [
        "pytorch",
        "onnxruntime",
        "engine/onnxruntime/fp32",
        "engine/onnxruntime/int8",
        "null",
    ]


def test_every_backend_takes_part(artifact):
    assert names(artifact, ["onnxruntime", "openvino"])[2:-1] == [
        "engine/onnxruntime/fp32",
        "engine/onnxruntime/int8",
        "engine/openvino/fp32",
        "engine/openvino/int8",
    ]


def test_each_contender_knows_its_file(artifact):
    found = {
        entry.name: entry
        for entry in line_up(artifact, Manifest.load(artifact), ["onnxruntime"], ["int8"], threads=2)
    }
    assert found["pytorch"].bytes == len(b"weights")
    assert found["onnxruntime"].file == str(artifact / "model.onnx")
    assert found["onnxruntime"].threads is None  # a plain session has its defaults, always
    assert found["engine/onnxruntime/int8"].bytes == len(b"int8" * 10)
    assert found["engine/onnxruntime/int8"].threads == 2


def test_an_unknown_precision_is_refused(artifact):
    with pytest.raises(ArtifactError, match="holds no 'fp8' graph, it has fp32, int8"):
        names(artifact, precisions=["fp8"])


def test_an_unknown_backend_is_refused(artifact):
    with pytest.raises(BackendError, match="unknown backend 'abacus'"):
        names(artifact, backends=["abacus"])


def test_the_overhead_cannot_be_asked_for_twice(artifact):
    with pytest.raises(ConfigError, match="'null' is measured in every run"):
        names(artifact, backends=["null"])


def test_a_changed_graph_is_refused(artifact):
    (artifact / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="not the file that the manifest vouches for"):
        names(artifact)


def test_an_artifact_without_its_checkpoint_is_refused(artifact):
    (artifact / "checkpoint" / "model.safetensors").unlink()
    (artifact / "checkpoint").rmdir()
    with pytest.raises(ArtifactError, match="no folder 'checkpoint'"):
        names(artifact)
