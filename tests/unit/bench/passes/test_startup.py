import pytest

from fer_bench.contenders.contender import Contender, Skipped
from fer_bench.passes import startup
from fer_bench.passes.options import BenchOptions
from fer_bench.record.record import ColdStart, Memory
from fer_engine.errors import BackendError


class FakeWorker:
    """Starts in 3 ns and answers in 4; one that is called "broken" does not start."""

    started: list[str]
    killed: list[str]

    def __init__(self, contender):
        self.name = contender.name
        self.started.append(self.name)
        if self.name == "broken":
            raise BackendError("broken failed: no such instruction")
        if self.name == "absent":
            raise ModuleNotFoundError("No module named 'beads'", name="beads")
        self.loaded = {"import_ns": 1, "load_ns": 2}

    def ask(self, do, **arguments):
        return {
            "read_faces": {},
            "turn": {"samples_ns": [4]},
            "memory": {
                "faces": arguments.get("count"),
                "faces_a_call": 64,
                "peak_bytes": 10 * len(self.started),
                "steady_bytes": None,
            },
        }[do]

    def close(self):
        pass

    def kill(self):
        self.killed.append(self.name)


@pytest.fixture(autouse=True)
def worker():
    FakeWorker.started, FakeWorker.killed = [], []
    return FakeWorker


def measure(*contenders, advance=lambda _: None):
    options = BenchOptions(cold_starts=2, memory_faces=100)
    return startup.measure_startup(contenders, "faces.npy", options, advance, FakeWorker)


def contender(name, **values):
    return Contender(name, "engine", "artifact", "model.onnx", **values)


def test_each_process_is_a_cold_start_and_the_last_tells_its_memory(worker):
    advanced = []
    found, skipped = measure(contender("one"), contender("two"), advance=advanced.append)
    assert worker.started == ["one", "two", "one", "two"]
    assert worker.killed == worker.started
    start = ColdStart(import_ns=1, load_ns=2, first_call_ns=4, total_ns=7)
    assert found["one"].cold_starts == (start, start)
    assert found["one"].memory == Memory(100, 64, peak_bytes=30, steady_bytes=None)
    assert found["two"].memory == Memory(100, 64, peak_bytes=40, steady_bytes=None)
    assert skipped == []
    assert sum(advanced) == 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [("broken", "broken failed: no such instruction"), ("absent", "No module named 'beads'")],
)
def test_an_optional_contender_that_cannot_run_is_left_out_with_the_reason(worker, name, reason):
    advanced = []
    found, skipped = measure(contender("one"), contender(name, optional=True), advance=advanced.append)
    assert list(found) == ["one"]
    assert skipped == [Skipped(name, reason)]
    assert worker.started.count(name) == 1
    assert sum(advanced) == 4


@pytest.mark.parametrize(("name", "error"), [("broken", BackendError), ("absent", ModuleNotFoundError)])
def test_one_that_must_run_ends_the_benchmark(name, error):
    with pytest.raises(error):
        measure(contender("one"), contender(name))
