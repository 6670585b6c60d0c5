import pytest

from fer_bench.contenders import contender, reference
from fer_bench.contenders.contender import Skipped, line_up
from fer_bench.contenders.sweep import Sweep
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Made, Manifest, Origin
from fer_engine.artifact.spec import AFFECT, ModelSpec
from fer_engine.errors import ArtifactError, BackendError, ConfigError


def everyone(artifact, **sweep):
    contenders, _ = line_up(Artifact.open(artifact), Sweep(**sweep))
    return {entry.name: entry for entry in contenders}


def names(artifact, backends=("onnxruntime",), precisions=("fp32", "int8")):
    return list(everyone(artifact, backends=backends, precisions=precisions))


def test_the_line_up(artifact):
    assert names(artifact) == [
        "pytorch",
        "onnxruntime",
        "engine/onnxruntime/fp32",
        "engine/onnxruntime/int8",
        "null",
    ]


def test_every_backend_takes_part(artifact):
    assert names(artifact, ("onnxruntime", "openvino"))[2:-1] == [
        "engine/onnxruntime/fp32",
        "engine/onnxruntime/int8",
        "engine/openvino/fp32",
        "engine/openvino/int8",
    ]


def test_each_contender_knows_its_file(artifact):
    found = everyone(artifact, backends=("onnxruntime",), precisions=("int8",), threads=(2,))
    assert found["pytorch"].file_bytes == len(b"weights")
    assert found["onnxruntime"].file == str(artifact / "model.onnx")
    assert found["onnxruntime"].threads is None  # a plain session has its defaults, always
    assert found["engine/onnxruntime/int8"].file_bytes == len((artifact / "model.int8.onnx").read_bytes())
    assert found["engine/onnxruntime/int8"].threads == 2


def test_an_unknown_precision_is_refused(artifact):
    with pytest.raises(ArtifactError, match="holds no 'fp8' graph, it has fp32, int8"):
        names(artifact, precisions=("fp8",))


def test_an_unknown_backend_is_refused(artifact):
    with pytest.raises(BackendError, match="unknown backend 'abacus'"):
        names(artifact, backends=("abacus",))


def test_the_overhead_cannot_be_asked_for_twice(artifact):
    with pytest.raises(ConfigError, match="'null' is measured in every run"):
        names(artifact, backends=("null",))


def test_a_changed_graph_is_refused(artifact):
    (artifact / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="not the file that the manifest vouches for"):
        names(artifact)


def test_an_artifact_without_pytorch_weights_is_refused(artifact):
    (artifact / "checkpoint" / "model.safetensors").rename(artifact / "checkpoint" / "model.onnx")
    with pytest.raises(ArtifactError, match=r"holds no PyTorch weights .* run fer-export again"):
        names(artifact)


def test_for_an_onnx_file_the_plain_session_is_the_reference(artifact):
    (artifact / "checkpoint" / "model.safetensors").rename(artifact / "checkpoint" / "model.onnx")
    manifest = Manifest(ModelSpec("tiny"), Artifact.open(artifact).files, Made(Origin(outputs="logits")))
    given = Artifact(artifact, manifest)
    contenders, _ = line_up(given, Sweep(backends=("onnxruntime",), precisions=("fp32",)))
    assert [entry.name for entry in contenders] == ["onnxruntime", "engine/onnxruntime/fp32", "null"]
    assert reference.of_artifact(given) == "onnxruntime"


def test_the_engine_alone_runs_on_another_device(artifact, monkeypatch):
    monkeypatch.setattr(contender, "find_backend", lambda _: None)
    contenders, _ = line_up(Artifact.open(artifact), Sweep(precisions=("fp32",)), "cuda:1")
    assert {entry.name: entry.device for entry in contenders} == {
        "pytorch": "cpu",
        "onnxruntime": "cpu",
        **{
            f"engine/{backend}/fp32": "cuda:1"
            for backend in ("onnxruntime", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx")
        },
        "null": "cpu",
    }


def test_a_regression_is_refused(artifact):
    spec = ModelSpec("tiny", labels=AFFECT, task="regression")
    regression = Artifact(artifact, Manifest(spec, Artifact.open(artifact).files))
    with pytest.raises(ConfigError, match=r"a network for regression, fer-bench .* classifications"):
        line_up(regression, Sweep())


def test_by_default_the_engine_s_own_choice_takes_part(artifact, monkeypatch):
    monkeypatch.setattr(contender, "find_backend", lambda _: None)
    assert list(everyone(artifact))[2:-1] == [
        "engine/onnxruntime/fp32",
        "engine/onnxruntime/int8",
        "engine/openvino/fp32",
        "engine/openvino/int8",
        "engine/auto",
    ]


def test_a_backend_that_is_not_installed_is_left_out_with_the_reason(artifact, monkeypatch):
    def find(name):
        if name == "openvino":
            raise BackendError("install its runtime")

    monkeypatch.setattr(contender, "find_backend", find)
    contenders, skipped = line_up(Artifact.open(artifact), Sweep())
    assert skipped == [Skipped("engine/openvino", "install its runtime")]
    assert {entry.backend for entry in contenders} == {None, "onnxruntime", "auto", "null"}


def test_only_what_was_asked_for_by_name_must_run(artifact):
    for sweep, optional in (
        ({"backends": ("onnxruntime",), "precisions": ("fp32",)}, False),
        ({"backends": ("auto",)}, False),
        ({"backends": ("onnxruntime",)}, True),
        ({"precisions": ("int8",)}, True),
    ):
        engines = [entry for name, entry in everyone(artifact, **sweep).items() if name.startswith("engine")]
        assert {entry.optional for entry in engines} == {optional}


def test_the_size_of_a_graph_that_the_engine_chooses_is_not_known_yet(artifact):
    assert everyone(artifact, backends=("auto",))["engine/auto"].file_bytes is None


def test_one_value_holds_for_all_and_several_for_the_engine_alone(artifact):
    one = everyone(artifact, threads=(1,), micro_batches=(4,))
    assert (one["pytorch"].threads, one["null"].threads, one["null"].micro_batch) == (1, 1, 4)
    several = everyone(artifact, threads=(1, 2), micro_batches=(4, 8))
    assert (several["pytorch"].threads, several["null"].threads, several["null"].micro_batch) == (None,) * 3
    engine = several["engine/onnxruntime/int8/t2/m8"]
    assert (engine.threads, engine.micro_batch) == (2, 8)
