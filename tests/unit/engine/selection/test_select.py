import json
import re

import numpy as np
import pytest

from fer_engine import ArtifactError, BackendError, BackendOptions, Choice, Engine
from fer_engine.artifact.artifact import MANIFEST_NAME, PROBES_NAME, Artifact
from fer_engine.selection import speed_probe
from fer_engine.selection.speed_probe import Candidate, Measured

SPEEDS = {"onnxruntime/fp32": 100.0, "openvino/fp32": 200.0}


@pytest.fixture
def probes(monkeypatch):
    """Count the probes, whose outcome is `speeds`; all candidates that are not in it fail."""

    class Probes:
        count = 0
        speeds = SPEEDS

    def measure(_, candidates, options):
        assert options == BackendOptions()
        Probes.count += 1
        speeds = {name: Probes.speeds[str(name)] for name in candidates if str(name) in Probes.speeds}
        return Measured(speeds, {name: f"{name} is broken" for name in candidates if name not in speeds})

    monkeypatch.setattr(speed_probe, "measure_speeds", measure)
    return Probes


def load(artifact, precision="auto", backend="auto", **options):
    with Engine.load(artifact.folder, precision=precision, backend=backend, **options) as engine:
        faces = artifact.faces(3)
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))
        return engine.info


def add_precision(artifact, accepted, **verdict):
    """Give the artifact's graph a second time, as "int8"."""
    path = artifact.folder / MANIFEST_NAME
    data = json.loads(path.read_text())
    data["files"]["int8"] = data["files"]["fp32"]
    data["gate"] = {"verdicts": {"int8": {"accepted": accepted, "reason": "0.35x of FP32", **verdict}}}
    path.write_text(json.dumps(data))


def change(artifact, edit, name=PROBES_NAME):
    path = artifact.folder / name
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def test_a_real_probe_takes_the_fastest_and_is_kept(artifact):
    first = load(artifact)
    assert first.choice.by == "probe"
    assert set(first.choice.speeds) == set(SPEEDS)
    assert f"{first.backend}/{first.precision}" == max(first.choice.speeds, key=first.choice.speeds.get)
    again = load(artifact)
    assert again.choice == Choice("cached probe", first.choice.speeds)
    assert again.backend == first.backend


def test_graphs_that_are_not_chosen_are_not_read_once_all_were_measured(artifact, probes):
    add_precision(artifact, accepted=True)
    change(artifact, lambda data: data["files"]["int8"].update(path="int8.onnx"), MANIFEST_NAME)
    (artifact.folder / "int8.onnx").write_bytes((artifact.folder / "model.onnx").read_bytes())
    probes.speeds = SPEEDS | {"onnxruntime/int8": 50.0, "openvino/int8": 50.0}
    assert load(artifact).choice.by == "probe"
    (artifact.folder / "int8.onnx").unlink()
    assert load(artifact).choice.by == "cached probe"


def test_the_fastest_wins(artifact, probes):
    assert load(artifact).backend == "openvino"
    (artifact.folder / PROBES_NAME).unlink()
    probes.speeds = SPEEDS | {"onnxruntime/fp32": 300.0}
    info = load(artifact)
    assert info.backend == "onnxruntime"
    assert info.choice == Choice("probe", probes.speeds)


def test_what_is_given_is_not_measured(artifact, probes):
    assert load(artifact, "fp32", "onnxruntime").choice == Choice("given")
    assert load(artifact, "auto", "onnxruntime").choice == Choice("only one")
    assert probes.count == 0
    assert not (artifact.folder / PROBES_NAME).exists()


def test_only_what_the_gate_accepted_takes_part(artifact, probes):
    add_precision(artifact, accepted=False)
    assert set(load(artifact).choice.speeds) == set(SPEEDS)
    assert load(artifact, "int8", "onnxruntime").choice == Choice("given")  # a refused one by its name
    add_precision(artifact, accepted=True)
    probes.speeds = SPEEDS | {"onnxruntime/int8": 50.0, "openvino/int8": 400.0}
    info = load(artifact)
    assert (info.precision, info.backend) == ("int8", "openvino")
    assert info.choice.speeds == probes.speeds
    info = load(artifact, "int8", "auto")
    assert set(info.choice.speeds) == {"onnxruntime/int8", "openvino/int8"}


def test_a_backend_whose_answers_failed_takes_no_part(artifact, probes):
    trials = {"onnxruntime": {"answers": 1.0, "speed": 9.0}, "openvino": {"answers": 0.9, "speed": 9.0}}
    add_precision(artifact, accepted=True, trials=trials, passing=["onnxruntime"])
    probes.speeds = SPEEDS | {"onnxruntime/int8": 500.0}
    info = load(artifact)
    assert set(info.choice.speeds) == {*SPEEDS, "onnxruntime/int8"}
    assert (info.precision, info.backend) == ("int8", "onnxruntime")


def test_every_subject_is_kept_for_itself(artifact, probes):
    add_precision(artifact, accepted=True)
    probes.speeds = SPEEDS | {"onnxruntime/int8": 50.0, "openvino/int8": 400.0}
    for _ in range(2):
        load(artifact)
        load(artifact, "int8")
        load(artifact, "auto", "openvino")
    assert probes.count == 3


@pytest.mark.parametrize(
    ("place", "value"),
    [("cpu", "another"), ("versions", {"openvino": "1.0"}), ("graphs", {"fp32": "0" * 64})],
)
def test_other_conditions_are_measured_anew(artifact, probes, place, value):
    load(artifact)
    change(artifact, lambda data: data["probes"][0]["conditions"].update({place: value}))
    assert load(artifact).choice.by == "probe"
    assert load(artifact).choice.by == "cached probe"
    assert probes.count == 2
    kept = json.loads((artifact.folder / PROBES_NAME).read_text())["probes"]
    assert len(kept) == (2 if place == "cpu" else 1)  # other CPUs keep theirs, what is out of date goes


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: entry["faces_per_second"].update({"openvino/fp32": "fast"}),
        lambda entry: entry["faces_per_second"].update({"openvino/fp32": -1.0}),
        lambda entry: entry["faces_per_second"].update({"openvino/fp32": float("nan")}),
        lambda entry: entry["faces_per_second"].update({"openvino/int4": 1e9}),
        lambda entry: entry["faces_per_second"].pop("openvino/fp32"),
        lambda entry: entry.update(faces_per_second=[]),
        lambda entry: entry.pop("failures"),
        lambda entry: entry.pop("conditions"),
    ],
)
def test_damaged_figures_are_not_trusted(artifact, probes, edit):
    load(artifact)
    change(artifact, lambda data: edit(data["probes"][0]))
    assert load(artifact).choice == Choice("probe", SPEEDS)
    assert load(artifact).choice == Choice("cached probe", SPEEDS)
    assert probes.count == 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", '{"format_version": 99, "probes": []}', '{"format_version": 1, "probes": 5}'],
)
def test_a_damaged_file_is_not_trusted(artifact, probes, text):
    (artifact.folder / PROBES_NAME).write_text(text)
    assert load(artifact).choice.by == "probe"
    assert load(artifact).choice.by == "cached probe"
    assert probes.count == 1


def test_an_artifact_that_cannot_be_written_is_measured_each_time(artifact, probes):
    (artifact.folder / PROBES_NAME).mkdir()  # refuses even the superuser, whom permissions do not stop
    for count in (1, 2):
        choice = load(artifact).choice
        assert (choice.by, choice.speeds) == ("probe", SPEEDS)
        assert re.match(r"cannot write .*probes\.json", choice.not_cached)
        assert probes.count == count
    assert sorted(path.name for path in artifact.folder.iterdir()) == [
        MANIFEST_NAME,
        "model.onnx",
        PROBES_NAME,
    ]


def test_what_cannot_run_is_reported_and_tried_again(artifact, probes):
    probes.speeds = {"onnxruntime/fp32": 100.0}
    for count in (1, 2):
        info = load(artifact)
        assert info.backend == "onnxruntime"
        assert (info.choice.by, info.choice.speeds) == ("probe", probes.speeds)
        assert info.choice.failures == {"openvino/fp32": "openvino/fp32 is broken"}
        assert "the next load tries it again" in info.choice.not_cached
        assert probes.count == count


def test_nothing_runs(artifact, probes):
    probes.speeds = {}
    with pytest.raises(BackendError, match=r"^no candidate can run: onnxruntime/fp32 is broken; openvino"):
        load(artifact)
    assert not (artifact.folder / PROBES_NAME).exists()


def test_an_unknown_device_is_nowhere(artifact):
    with pytest.raises(BackendError, match=r"^unknown device 'tpu'; known: cpu, cuda, pycuda, "):
        load(artifact, device="tpu")


@pytest.mark.parametrize(("precision", "backend"), [("fp8", "auto"), ("fp8", "onnxruntime")])
def test_a_precision_that_is_not_there(artifact, precision, backend):
    with pytest.raises(ArtifactError, match=r"holds no 'fp8' graph, it has fp32"):
        load(artifact, precision, backend)


def test_an_unknown_backend(artifact):
    with pytest.raises(BackendError, match=r"^unknown backend 'tvm'"):
        load(artifact, "auto", "tvm")


def test_no_precision_is_accepted(artifact):
    add_precision(artifact, accepted=True)
    path = artifact.folder / MANIFEST_NAME
    data = json.loads(path.read_text())
    data["gate"]["verdicts"] = {"fp32": {"accepted": False, "reason": "wrong"}}
    path.write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=r"holds no precision that the gate accepted; .*: fp32, int8$"):
        load(artifact)


def test_no_runtime_is_installed(artifact, monkeypatch):
    monkeypatch.setattr("fer_engine.selection.select.available_backends", lambda _: ())
    with pytest.raises(BackendError, match=r"^no runtime is installed; .*pip install 'fer-engine\[cpu\]'$"):
        load(artifact)


def test_candidates_are_plain_tuples(artifact):
    assert Candidate("fp32", "openvino") == ("fp32", "openvino")
    assert Artifact.open(artifact.folder).accepted() == ("fp32",)
