import pytest

from fer_bench.contenders.sweep import Sweep
from fer_bench.passes.options import BenchOptions
from fer_engine.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": ()}, "no batch size"),
        ({"batches": (64, 0)}, "batch must be a whole number of at least 1, got 0"),
        ({"rounds": 0}, "rounds must be .* at least 1, got 0"),
        ({"cold_starts": 0}, "cold_starts must be .* at least 1"),
        ({"busy": -1}, "busy must be .* at least 0, got -1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seconds": 0}, "seconds must be a number above 0, got 0"),
        ({"seconds": float("nan")}, "seconds must be a number above 0, got nan"),
        ({"batches": (1, 8), "sweep": Sweep(micro_batches=(4, 16))}, "micro-batch 16 would never be filled"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        BenchOptions(**changes)


def test_the_expected_duration_grows_with_what_is_asked_for():
    options = BenchOptions(batches=(1, 64), rounds=9, seconds=0.4, warmup_seconds=0.5, cold_starts=3)
    turns = 2 * (0.5 + 9 * 0.4)
    assert options.expected_seconds(10) > 10 * turns
    assert options.expected_seconds(10) == pytest.approx(2 * options.expected_seconds(5))
