import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("mlperf_loadgen", reason="MLPerf LoadGen is not installed")

from fer_bench.contenders.contender import Contender
from fer_bench.contenders.worker_client import Worker
from fer_bench.passes.loadgen import log
from fer_bench.passes.loadgen.driver import run_test
from fer_engine.errors import BackendError

SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")
FACES = 150
QUICK = {
    "min_duration_ms": 50,
    "min_query_count": 100,
    "multi_stream_samples_per_query": 8,
    "single_stream_expected_latency_ns": 1e4,
    "multi_stream_expected_latency_ns": 1e4,
    "server_target_qps": 5_000.0,
    "server_target_latency_ns": 10**9,
    "offline_expected_qps": 10_000.0,
}


@pytest.fixture
def faces():
    """Faces that carry their own number in the first pixel."""
    faces = np.zeros((FACES, 48, 48), np.uint8)
    faces[:, 0, 0] = np.arange(FACES)
    return faces


def numbered(faces):
    """Logits that tell whose answer they are."""
    return np.repeat(faces[:, 0, 0, None].astype(np.float32), 7, axis=1) + np.arange(7, dtype=np.float32) / 8


def detail(folder):
    return log.read_detail(folder / log.DETAIL)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_answer_belongs_to_its_face_and_none_is_lost(faces, tmp_path, scenario):
    run_test(numbered, faces, scenario, "AccuracyOnly", QUICK, str(tmp_path))
    answers = log.read_answers(tmp_path / log.ACCURACY, FACES)
    np.testing.assert_array_equal(answers, numbered(faces))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_sends_its_kind_of_query(faces, tmp_path, scenario):
    sizes = []

    def predict(batch):
        sizes.append(len(batch))
        time.sleep(0.002)  # so that the single query of offline lasts its least duration
        return numbered(batch)

    fields = QUICK | {"offline_expected_qps": 50_000.0}
    reply = run_test(predict, faces, scenario, "PerformanceOnly", fields, str(tmp_path))
    found = detail(tmp_path)
    assert found["effective_scenario"] == scenario
    assert reply["seconds"] >= 0.05
    if scenario == "SingleStream":
        assert set(sizes) == {1}
        assert found["result_query_count"] == len(sizes)
        assert found["result_50.00_percentile_latency_ns"] >= 2e6
    elif scenario == "MultiStream":
        assert set(sizes) == {8}
        assert found["result_query_count"] == len(sizes)
    elif scenario == "Server":
        assert 1 < max(sizes) <= reply["batching"]["max_batch"]
        assert found["result_query_count"] == sum(sizes)
    else:
        assert max(sizes) == reply["batching"]["max_batch"]
        assert found["effective_samples_per_query"] == sum(sizes)


def test_a_verdict_against_the_run_is_passed_on(faces, tmp_path):
    def late(batch):
        time.sleep(0.005)
        return numbered(batch)

    fields = QUICK | {"server_target_qps": 500.0, "server_target_latency_ns": 10**6}
    run_test(late, faces, "Server", "PerformanceOnly", fields, str(tmp_path))
    result = log.performance_result("server", detail(tmp_path))
    assert not result["valid"]
    assert "the latency bound was not kept" in result["invalid_because"]
    assert result["late_queries"] == result["queries"]


def test_a_run_that_ends_too_early_is_invalid(faces, tmp_path):
    fields = QUICK | {"min_duration_ms": 60_000, "offline_expected_qps": 1.0}
    run_test(numbered, faces, "Offline", "PerformanceOnly", fields, str(tmp_path))
    result = log.performance_result("offline", detail(tmp_path))
    assert not result["valid"]
    assert result["invalid_because"] == ["the run ended before its least duration"]


FAILING = """
import sys
import numpy as np
from fer_bench.passes.loadgen.driver import run_test

def raises(faces):
    raise ValueError("the accelerator is on fire")

def loses(faces):
    return np.zeros((len(faces) - 1, 7), np.float32)

fields = {"min_duration_ms": 60_000, "server_target_qps": 100.0, "multi_stream_samples_per_query": 8}
faces = np.zeros((20, 48, 48), np.uint8)
run_test(globals()[sys.argv[1]], faces, sys.argv[2], "PerformanceOnly", fields, sys.argv[3])
"""


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    ("fault", "message"),
    [("raises", "ValueError: the accelerator is on fire"), ("loses", "expected one row a face")],
)
def test_a_contender_that_fails_ends_the_run(tmp_path, scenario, fault, message):
    """LoadGen would wait for ever for the answers: the error must come in spite of it."""
    command = [sys.executable, "-c", FAILING, fault, scenario, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert result.returncode != 0
    assert message in result.stderr


@pytest.mark.parametrize("scenario", ["SingleStream", "Server"])
def test_the_parent_hears_of_a_contender_that_fails(artifact, tmp_path, scenario):
    np.save(tmp_path / "faces.npy", np.zeros((10, 47, 48), np.uint8))
    graph = str(artifact / "model.onnx")
    worker = Worker(Contender("null", "engine", str(artifact), graph, backend="null", threads=1))
    try:
        worker.ask("read_faces", path=str(tmp_path / "faces.npy"))
        with pytest.raises(BackendError, match=r"null failed: .*47"):
            worker.ask(
                "loadgen", scenario=scenario, mode="PerformanceOnly", fields=QUICK, folder=str(tmp_path)
            )
    finally:
        worker.kill()


def test_several_runs_follow_each_other_in_one_process(faces, tmp_path):
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        run_test(numbered, faces, "Server", "PerformanceOnly", QUICK, str(folder))
        assert detail(folder)["result_query_count"] >= 100
