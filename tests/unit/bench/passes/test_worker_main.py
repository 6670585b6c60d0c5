import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from fer_bench.contenders.kinds import Kind
from fer_bench.contenders.runtime import Runtime
from fer_bench.passes import worker_main
from fer_bench.record.statistics import summarize_latency
from fer_engine.errors import BackendError


class Clock:
    """Time that passes only when a call takes it."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def fake_call(clock, latencies_ms):
    remaining = iter(latencies_ms)

    def call():
        clock.now += round(next(remaining) * 1e6)

    return call


def test_a_known_latency_distribution_comes_back():
    clock = Clock()
    latencies = np.random.default_rng(0).gamma(4.0, 2.0, 1_000)
    samples = worker_main.take_samples(fake_call(clock, latencies), 1e6, 1_000, 0, clock)
    found = summarize_latency(samples)
    assert (found.p50, found.p90, found.p99) == pytest.approx(
        np.percentile(latencies, (50, 90, 99)), abs=1e-5
    )
    assert found.samples == 1_000


def test_warm_up_calls_are_not_counted():
    clock = Clock()
    samples = worker_main.take_samples(fake_call(clock, [900, 900, 1, 2, 3]), 1e6, 3, 2, clock)
    assert samples == [1_000_000, 2_000_000, 3_000_000]


def test_a_turn_ends_with_its_time():
    clock = Clock()
    samples = worker_main.take_samples(
        fake_call(clock, [40] * 100), seconds=0.1, calls=100, warmup_calls=1, clock=clock
    )
    assert len(samples) == 3  # the one that crosses the end counts


def test_a_turn_has_at_least_one_call():
    clock = Clock()
    assert worker_main.take_samples(fake_call(clock, [5_000]), 0.1, 100, 0, clock) == [5_000_000_000]


@pytest.fixture
def calls(monkeypatch):
    """The batch sizes that a fake contender was called with."""
    sizes = []

    def predict(faces):
        sizes.append(len(faces))
        return np.full((len(faces), 7), faces[:, :1, 0], np.float32)

    def load(settings):
        if settings.get("fail"):
            raise BackendError("the accelerator is on fire; put it out")
        return Runtime(predict, settings["splits"], lambda: {"threads": 3})

    monkeypatch.setitem(worker_main.KINDS, "fake", Kind(("json",), load))
    return sizes


def serve(*requests):
    replies = io.StringIO()
    code = worker_main.serve(
        io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), replies
    )
    return code, [json.loads(line) for line in replies.getvalue().splitlines()]


def test_requests_are_answered_one_line_each(calls, faces_path):
    code, replies = serve(
        {"kind": "fake", "splits": True},
        {"do": "read_faces", "path": faces_path},
        {"do": "turn", "batch": 4, "seconds": 60, "calls": 5, "warmup_calls": 2},
        {"do": "info"},
    )
    assert code == 0
    assert set(replies[0]) == {"import_ns", "load_ns"}
    assert replies[1] == {"faces": 10}
    assert len(replies[2]["samples_ns"]) == 5
    assert replies[3] == {"threads": 3}
    assert calls == [4] * 7


def test_faces_are_repeated_where_a_batch_needs_more(calls, faces_path):
    serve(
        {"kind": "fake", "splits": True},
        {"do": "read_faces", "path": faces_path},
        {"do": "turn", "batch": 25, "seconds": 60, "calls": 1, "warmup_calls": 0},
    )
    assert calls == [25]


@pytest.mark.parametrize(("splits", "sizes"), [(True, [150]), (False, [64, 64, 22])])
def test_logits_keep_the_order_of_the_faces(calls, tmp_path, splits, sizes):
    faces = np.zeros((150, 48, 48), np.uint8)
    faces[:, 0, 0] = np.arange(150)
    np.save(tmp_path / "faces.npy", faces)
    serve(
        {"kind": "fake", "splits": splits},
        {"do": "read_faces", "path": str(tmp_path / "faces.npy")},
        {"do": "logits", "path": str(tmp_path / "logits.npy")},
    )
    assert calls == sizes
    logits = np.load(tmp_path / "logits.npy")
    np.testing.assert_array_equal(logits, np.repeat(np.arange(150.0)[:, None], 7, axis=1))


@pytest.mark.parametrize(("splits", "predicted", "a_call"), [(True, 5_000, 5_000), (False, 512, 64)])
def test_memory_is_that_of_many_faces(calls, faces_path, splits, predicted, a_call):
    _, replies = serve(
        {"kind": "fake", "splits": splits},
        {"do": "read_faces", "path": faces_path},
        {"do": "memory", "count": 5_000},
    )
    assert (replies[-1]["faces"], replies[-1]["faces_a_call"]) == (predicted, a_call)
    assert sum(calls) == predicted
    assert set(calls) == {a_call}


@pytest.mark.skipif(
    worker_main.resident_bytes() is None, reason="this system does not tell a process's memory"
)
def test_steady_memory_is_without_the_faces(tmp_path):
    np.save(tmp_path / "faces.npy", np.ones((30_000, 48, 48), np.uint8))  # 66 MiB
    code = """
import sys
import numpy as np
import fer_bench.passes.worker_main as w
from fer_bench.contenders.kinds import Kind
from fer_bench.contenders.runtime import Runtime
w.KINDS["fake"] = Kind(("numpy",), lambda _: Runtime(lambda faces: faces[:, 0, 0], True, dict))
session = w.Session({"kind": "fake"})
before = w.resident_bytes()
session.read_faces(sys.argv[1])
found = session.memory(40_000)
print(found["steady_bytes"] - before, found["peak_bytes"] - before)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "faces.npy")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    steady, peak = (int(word) / 2**20 for word in result.stdout.split())
    assert steady < 16
    assert peak > 120  # the faces, and those of the call


@pytest.mark.usefixtures("calls")
def test_an_error_of_ours_is_passed_on_as_it_is():
    code, replies = serve({"kind": "fake", "fail": True}, {"do": "info"})
    assert code == 1
    assert replies == [{"error": "the accelerator is on fire; put it out", "missing": None}]


@pytest.mark.usefixtures("calls")
def test_another_error_names_its_type(capsys):
    _, replies = serve({"kind": "fake", "splits": True}, {"do": "read_faces", "path": "/nowhere/faces.npy"})
    assert replies[-1]["error"].startswith("FileNotFoundError: ")
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(worker_main.KINDS, "fake", Kind(("no_such_library",), lambda _: None))
    _, replies = serve({"kind": "fake"})
    assert replies[-1]["missing"] == "no_such_library"


def test_nothing_heavy_is_imported_before_the_clock_runs():
    code = "import sys, fer_bench.passes.worker_main; print(*sys.modules)"
    # `make coverage` would import its own modules into the process.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert not loaded & {"numpy", "torch", "onnxruntime", "fer_engine", "dataclasses", "fer_train"}


@pytest.mark.skipif(
    worker_main.peak_bytes() is None, reason="this system does not tell a process's peak memory"
)
def test_peak_memory_is_the_process_s_own():
    grow = "import fer_bench.passes.worker_main as w; a = w.peak_bytes(); "
    grow += "x = b'1' * 64 * 2**20; print(a, w.peak_bytes())"
    ballast = b"1" * (256 * 2**20)  # of the parent: a child must not be charged for it
    result = subprocess.run([sys.executable, "-c", grow], capture_output=True, text=True, check=True)
    before, after = map(int, result.stdout.split())
    assert len(ballast) > after
    assert after - before > 60 * 2**20


@pytest.mark.skipif(
    worker_main.resident_bytes() is None, reason="this system does not tell a process's memory"
)
def test_memory_that_was_given_back_is_in_the_peak_alone():
    code = """
import fer_bench.passes.worker_main as w
before = w.resident_bytes()
block = b"1" * 64 * 2**20
held = w.resident_bytes()
del block
print(held - before, w.resident_bytes() - before, w.peak_bytes() - before)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    held, steady, peak = (int(word) / 2**20 for word in result.stdout.split())
    assert held > 60
    assert steady < 4
    assert peak > 60
