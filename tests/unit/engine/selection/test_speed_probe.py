import dataclasses

import pytest

from fer_engine import BackendOptions
from fer_engine.artifact.artifact import Artifact
from fer_engine.backends.null import NullBackend
from fer_engine.errors import BackendError
from fer_engine.runtime.backend import Model
from fer_engine.runtime.sharder import Sharder
from fer_engine.selection.speed_probe import FACES, Candidate, measure_speeds


@pytest.fixture
def model(artifact):
    return Model.of_artifact(Artifact.open(artifact.folder), "fp32")


def test_gives_a_speed_for_every_candidate(model):
    candidates = [Candidate("fp32", name) for name in ("onnxruntime", "openvino", "null")]
    measured = measure_speeds({"fp32": model}, candidates, BackendOptions(threads=2))
    assert list(measured.speeds) == candidates
    assert all(speed > 0 for speed in measured.speeds.values())
    assert measured.failures == {}


def test_says_why_a_candidate_cannot_run(model):
    damaged = dataclasses.replace(model, precision="int8", content=b"garbage")
    candidates = [Candidate("int8", "openvino"), Candidate("fp32", "null"), Candidate("fp32", "abacus")]
    measured = measure_speeds({"fp32": model, "int8": damaged}, candidates, BackendOptions())
    assert list(measured.speeds) == [candidates[1]]
    assert list(measured.failures) == [candidates[0], candidates[2]]
    assert "openvino cannot load the int8 graph" in measured.failures[candidates[0]]
    assert "unknown backend 'abacus'" in measured.failures[candidates[2]]


def test_closes_what_it_loaded_also_where_it_failed(model, monkeypatch):
    events = []

    def load(_, options):
        events.append("load")
        return NullBackend(3, options)

    def fail(*_):
        raise BackendError("out of memory")

    monkeypatch.setattr(NullBackend, "load", load)
    monkeypatch.setattr(NullBackend, "close", lambda _: events.append("close"))
    monkeypatch.setattr(NullBackend, "infer", fail)
    candidate = Candidate("fp32", "null")
    measured = measure_speeds({"fp32": model}, [candidate], BackendOptions(threads=2))
    assert measured.failures == {candidate: "out of memory"}
    assert events == ["load", "close"]


@pytest.mark.parametrize(("mode", "size"), [("throughput", FACES), ("latency", 1)])
def test_measures_single_faces_where_latency_is_asked_for(model, monkeypatch, mode, size):
    sizes = []
    infer = Sharder.infer
    monkeypatch.setattr(Sharder, "infer", lambda self, faces: sizes.append(len(faces)) or infer(self, faces))
    measure_speeds(
        {"fp32": model}, [Candidate("fp32", "null")], BackendOptions(threads=1, mode=mode), rounds=3
    )
    warming, *measured = sizes
    assert warming == FACES
    assert set(measured) == {size}
    assert sum(measured) == 3 * 2 * FACES  # each round once untimed, once timed


def test_candidates_are_named_as_in_reports():
    assert str(Candidate("int8", "openvino")) == "openvino/int8"
