import inspect
import time

import numpy as np
import pytest

from fer_bench.passes import rounds, worker_main
from fer_bench.passes.options import BenchOptions
from fer_engine.artifact.schema import to_json


class FakeWorker:
    """Answers each turn with one sample: the number of its turn, in milliseconds times `slowness`."""

    def __init__(self, name, diary, slowness=1):
        self.name, self.diary, self.slowness = name, diary, slowness
        self.turns = 0

    def ask(self, do, **arguments):
        self.diary.append((self.name, do, arguments))
        self.turns += 1
        return {"samples_ns": [self.turns * self.slowness * 1_000_000]}


class TimedWorker:
    """Takes its turns as a worker does, with a clock that moves only while it works.

    A call takes what the next draw of `latencies_ms` says; each turn's first calls, which warm it
    up, take a second more.
    """

    def __init__(self, latencies_ms):
        self.remaining = iter(latencies_ms)
        self.counted = []
        self.now = 0

    def ask(self, do, *, seconds, calls, warmup_calls, **_):
        assert do == "turn"
        cold = warmup_calls

        def call():
            nonlocal cold
            milliseconds = next(self.remaining)
            if cold:
                cold -= 1
                milliseconds += 1_000
            else:
                self.counted.append(milliseconds)
            self.now += round(milliseconds * 1e6)

        return {"samples_ns": worker_main.take_samples(call, seconds, calls, warmup_calls, lambda: self.now)}


@pytest.fixture
def diary():
    return []


def workers(diary):
    slowness = {"pytorch": 8, "onnxruntime": 2, "engine": 1, "null": 1}
    return {name: FakeWorker(name, diary, factor) for name, factor in slowness.items()}


def test_every_round_gives_every_contender_one_turn_in_an_order_of_its_own(diary):
    crew = workers(diary)
    advanced = []
    rounds.run_rounds(crew, 64, BenchOptions(rounds=12), advanced.append)
    names = [name for name, _, _ in diary[len(crew) :]]
    orders = [tuple(names[start : start + 4]) for start in range(0, len(names), 4)]
    assert len(orders) == 12
    assert all(sorted(order) == sorted(crew) for order in orders)
    assert len(set(orders)) > 3
    assert sum(advanced) == 48


def test_the_order_is_drawn_by_the_seed(diary):
    again, other = [], []
    for log, seed in ((diary, 1), (again, 1), (other, 2)):
        rounds.run_rounds(workers(log), 64, BenchOptions(rounds=8, seed=seed))
    assert diary == again
    assert diary != other


def test_the_warm_up_turn_is_not_in_the_samples(diary):
    samples = rounds.run_rounds(workers(diary), 64, BenchOptions(rounds=3))
    assert samples["engine"] == [[2_000_000], [3_000_000], [4_000_000]]


def test_turns_are_as_long_as_asked_for(diary):
    options = BenchOptions(rounds=1, seconds=0.7, calls=11, warmup_calls=2)
    rounds.run_rounds(workers(diary), 16, options)
    assert diary[-1][1:] == ("turn", {"batch": 16, "seconds": 0.7, "calls": 11, "warmup_calls": 2})


def test_the_summary_compares_with_the_plain_session(diary):
    samples = rounds.run_rounds(workers(diary), 64, BenchOptions(rounds=3))
    found = {entry.contender: entry for entry in rounds.summarize_rounds(samples, 64)}
    assert found["onnxruntime"].ratio.median == 1.0
    assert found["pytorch"].ratio.median == pytest.approx(0.25)
    assert found["engine"].ratio.rounds == pytest.approx([2.0, 2.0, 2.0])
    assert found["null"].ratio is None
    assert found["engine"].images_per_second == pytest.approx([64 / 0.002, 64 / 0.003, 64 / 0.004])
    assert found["engine"].latency_ms.p50 == pytest.approx(3.0)
    assert to_json(found["engine"])["samples_ns"] == samples["engine"]


def test_known_distributions_come_back_whole_and_without_the_warm_up():
    draw = np.random.default_rng(0)
    crew = {
        "onnxruntime": TimedWorker(draw.gamma(4.0, 0.5, 20_000)),
        "engine": TimedWorker(np.where(draw.random(20_000) < 0.01, 40.0, draw.gamma(4.0, 0.25, 20_000))),
        "null": TimedWorker([0.001] * 20_000),
    }
    options = BenchOptions(rounds=9, seconds=1.0, calls=500, warmup_calls=3, warmup_seconds=0.1)
    samples = rounds.run_rounds(crew, 16, options)
    for entry in rounds.summarize_rounds(samples, 16):
        # What the warm-up turn took comes first and does not count.
        counted = crew[entry.contender].counted[-entry.latency_ms.samples :]
        expected = np.percentile(counted, (50, 90, 99, 100))
        found = [getattr(entry.latency_ms, key) for key in ("p50", "p90", "p99", "max")]
        assert found == pytest.approx(expected, abs=1e-5)
        assert entry.latency_ms.max < 1_000
        assert entry.latency_ms.samples == sum(map(len, entry.samples_ns)) > 3_000
    engine = next(entry for entry in rounds.summarize_rounds(samples, 16) if entry.contender == "engine")
    assert engine.latency_ms.max == pytest.approx(40)  # the outliers stay
    assert engine.latency_ms.p99 > 5
    assert engine.ratio.low <= 2.0 / 1.39 <= engine.ratio.high  # of the two means


def test_the_clock_counts_nanoseconds_and_never_goes_back():
    assert inspect.signature(worker_main.take_samples).parameters["clock"].default is time.perf_counter_ns


def test_busy_processes_run_for_the_block_and_no_longer():
    with rounds.busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.returncode is not None for process in processes)


def test_a_busy_process_ends_with_its_parent():
    with rounds.busy_processes(1) as processes:
        processes[0].stdin.close()  # what the end of the parent amounts to
        assert processes[0].wait(timeout=30) == 0
