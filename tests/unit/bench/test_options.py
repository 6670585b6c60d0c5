import pytest

from fer_bench.options import BenchOptions
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
    ],
)
def test_what_cannot_be_measured_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        BenchOptions(**changes)
