from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mlperf_loadgen", reason="MLPerf LoadGen is not installed")

from fer_bench.contenders.contender import Contender
from fer_bench.contenders.inputs import Inputs
from fer_bench.passes.loadgen import log
from fer_bench.passes.loadgen.driver import run_test
from fer_bench.passes.loadgen.scenario_options import ScenarioOptions
from fer_bench.passes.loadgen.scenario_pass import Runs, taking_part
from fer_bench.report.loadgen_tables import tables

FACES = 70
WRONG = 7  # answers of the contender that differ from the reference's
ALL = ("single-stream", "multi-stream", "server", "offline")


class Here:
    """Answers a worker's requests in this process."""

    def __init__(self, faces, predict):
        self.faces = faces
        self.predict = predict
        self.asked = []

    def ask(self, do, **arguments):
        self.asked.append((do, arguments))
        if do == "turn":
            return {"samples_ns": [round(arguments["batch"] * 1e5)]}  # 10,000 faces a second
        if do == "logits":
            np.save(arguments["path"], self.predict(self.faces))
            return {"faces": len(self.faces)}
        return run_test(self.predict, self.faces, **arguments)


@pytest.fixture
def inputs():
    faces = np.zeros((FACES, 48, 48), np.uint8)
    faces[:, 0, 0] = np.arange(FACES)
    return Inputs("numbered faces", faces, np.arange(FACES, dtype=np.uint8) % 7)


def right(faces):
    return np.eye(7, dtype=np.float32)[faces[:, 0, 0] % 7]


def sometimes_wrong(faces):
    numbers = faces[:, 0, 0].astype(int)
    return np.eye(7, dtype=np.float32)[(numbers + (numbers < WRONG)) % 7]


def measured(inputs, folder, scenarios, modes=("performance",), **options):
    options = ScenarioOptions(scenarios, str(folder / "bench-loadgen"), modes, seconds=0.05, **options)
    workers = {"pytorch": Here(inputs.faces, right), "engine/a": Here(inputs.faces, sometimes_wrong)}
    steps = []
    runs = Runs(workers, ["engine/a"], inputs, options)
    found = runs.measure(steps.append)
    assert sum(steps) == len(runs) == len(found)
    return found, workers


def test_every_scenario_has_an_entry_and_keeps_its_logs(inputs, tmp_path):
    found, _ = measured(
        inputs, tmp_path, ALL, ("performance", "accuracy"), target_qps=2_000.0, min_queries=100
    )
    assert [entry.scenario for entry in found[::2]] == list(ALL)
    assert {entry.contender for entry in found} == {"engine/a"}
    for entry in found:
        logs = tmp_path / entry.logs
        assert entry.logs == f"bench-loadgen/engine/a/{entry.scenario}/{entry.mode}"
        assert log.read_detail(logs / log.DETAIL)["loadgen_version"] == entry.loadgen_version
        assert (logs / "mlperf_log_summary.txt").is_file()
        assert not entry.conformance.mlperf_result
        assert entry.settings.min_duration_ms == 50
    assert not list(Path(tmp_path).rglob("*.tmp"))


@pytest.mark.parametrize("scenario", ALL)
def test_accuracy_is_that_of_the_answers_that_loadgen_received(inputs, tmp_path, scenario):
    (entry,), _ = measured(inputs, tmp_path, (scenario,), ("accuracy",))
    assert entry.accuracy.faces == FACES
    assert entry.accuracy.changed == WRONG
    assert entry.accuracy.labelled.accuracy == pytest.approx(1 - WRONG / FACES)
    assert entry.accuracy.labelled.reference_accuracy == 1.0


def test_the_metrics_are_those_that_the_log_says(inputs, tmp_path):
    found, _ = measured(inputs, tmp_path, ALL, target_qps=2_000.0, min_queries=100)
    for entry in found:
        detail = log.read_detail(tmp_path / entry.logs / log.DETAIL)
        assert entry.valid == (detail["result_validity"] == "VALID")
        if entry.scenario == "offline":
            assert entry.metric.value == detail["result_samples_per_second"]
            assert entry.samples >= 2_000 * 0.05
        if entry.scenario == "server":
            assert entry.settings.extra["target_qps"] == 2_000
            assert entry.settings.target_latency_ns == 10_000_000
        if entry.scenario == "multi-stream":
            assert entry.samples == 8 * entry.queries


def test_the_rate_of_server_is_searched_where_none_is_given(inputs, tmp_path):
    found, workers = measured(inputs, tmp_path, ("server",), latency_bound_ms=1_000.0, min_queries=500)
    (entry,) = found
    rates = [arguments["fields"].get("server_target_qps") for do, arguments in workers["engine/a"].asked[1:]]
    assert [run.qps for run in entry.search] == rates
    assert entry.settings.extra["target_qps"] == pytest.approx(rates[-1], rel=1e-4)
    assert entry.search[-1].run == "confirming"
    assert entry.search[-1].valid == entry.valid


def test_the_report_shows_metric_verdict_and_accuracy(inputs, tmp_path):
    found, _ = measured(inputs, tmp_path, ("offline",), ("performance", "accuracy"))
    found[0] = replace(found[0], valid=False, invalid_because=("the run ended before its least duration",))
    timed, judged = tables(found, "PyTorch")
    assert timed.rows[0][:2] == ("engine/a", "offline")
    assert timed.rows[0][2].endswith(" samples/s")
    assert timed.rows[0][-1] == "INVALID"
    assert "INVALID, engine/a, offline: the run ended before its least duration." in timed.note
    assert "Least duration 0.05 s, where MLPerf asks for 600 s." in timed.note
    assert "These are no MLPerf results" in timed.note
    assert judged.rows == [("engine/a", "offline", "70", "90.00", "90.00")]
    assert not list(tables([], "PyTorch"))


def test_the_baseline_and_the_engines_take_part():
    kinds = {
        "pytorch": "pytorch",
        "onnxruntime": "onnxruntime",
        "engine/a": "engine",
        "null": "engine",
        "x": "ncnn",
    }
    contenders = [Contender(name, kind, "artifact", "file") for name, kind in kinds.items()]
    assert taking_part(contenders) == ["onnxruntime", "engine/a"]
