import pytest

from fer_bench.passes.loadgen import search

CEILING = 8_000.0


def scenario(limit):
    """A system that keeps its latency bound up to a known rate."""
    return lambda qps: {"valid": qps <= limit, "latency_ms": {"p99.00": 10.0 * qps / limit}, "qps": qps}


@pytest.mark.parametrize("limit", [600.0, 1_234.0, 4_000.0, 7_900.0, 8_100.0, 50_000.0])
def test_the_highest_rate_is_found(limit):
    result, runs = search.highest_valid_rate(CEILING, scenario(limit), scenario(limit))
    assert result["valid"]
    assert limit / 1.05 < result["qps"] <= limit
    assert [run["run"] for run in runs if run["run"] == "confirming"] == ["confirming"]
    assert all(run["p99_ms"] > 0 for run in runs)


def test_a_rate_that_a_whole_run_cannot_keep_is_lowered():
    result, runs = search.highest_valid_rate(CEILING, scenario(4_000.0), scenario(3_300.0))
    assert result["valid"]
    assert 3_300 * search.BACK_OFF < result["qps"] <= 3_300
    assert [run["valid"] for run in runs if run["run"] == "confirming"] == [False, False, True]


def test_where_no_rate_passes_the_failure_is_the_result():
    result, runs = search.highest_valid_rate(CEILING, scenario(1.0), scenario(1.0))
    assert not result["valid"]
    assert [run["run"] for run in runs] == ["trial"] * (search.TRIALS + 1) + ["confirming"]


def test_the_rate_is_not_lowered_for_ever():
    result, runs = search.highest_valid_rate(CEILING, scenario(4_000.0), scenario(1.0))
    assert not result["valid"]
    assert len(runs) == search.TRIALS + 1 + search.CONFIRMATIONS
