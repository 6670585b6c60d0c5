import json

import numpy as np
import pytest
from scipy import stats

from fer_bench import latency


def test_percentiles_of_a_known_distribution():
    samples = [milliseconds * 1_000_000 for milliseconds in range(1, 102)]  # 1 to 101 ms
    found = latency.summarize(samples)
    assert (found.p50, found.p90, found.p99) == pytest.approx((51, 91, 100))
    assert (found.samples, found.mean, found.max) == pytest.approx((101, 51, 101))


def test_an_outlier_is_kept():
    found = latency.summarize([1_000_000] * 99 + [500_000_000])
    assert found.max == 500
    assert found.p50 == 1
    assert found.p99 > 1


def test_throughput_counts_faces_a_second_inside_the_calls():
    assert latency.throughput([10_000_000, 30_000_000], batch=64) == pytest.approx(128 / 0.04)


def test_ratio_is_that_of_the_same_rounds():
    # The machine is ten times slower in the second round, for both.
    found = latency.compare([2_000, 200, 2_400], [1_000, 100, 1_000])
    assert found.rounds == pytest.approx((2.0, 2.0, 2.4))
    assert found.median == pytest.approx(2.0)
    assert found.low <= found.median <= found.high


def test_rounds_that_agree_leave_no_doubt():
    found = latency.compare([300.0] * 9, [200.0] * 9)
    assert (found.low, found.median, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_the_interval_is_the_percentile_bootstrap():
    rounds = np.random.default_rng(7).lognormal(0.3, 0.2, 25)
    found = latency.compare(rounds, np.ones(25), seed=1)
    expected = stats.bootstrap(
        (rounds,), np.median, method="percentile", n_resamples=10_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    trials = 200
    held = 0
    for seed in range(trials):
        found = latency.compare(generator.normal(1.5, 0.1, 25), np.ones(25), seed)
        held += found.low <= 1.5 <= found.high
    assert held / trials > 0.9


def test_the_same_seed_gives_the_same_interval():
    rounds = np.random.default_rng(3).normal(1, 0.1, 9)
    first, second = (latency.compare(rounds, np.ones(9), seed=5) for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(first.to_json()))["median"] == first.median
