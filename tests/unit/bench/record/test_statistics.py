import json

import numpy as np
import pytest
from scipy import stats

from fer_bench.record import statistics
from fer_engine.artifact.schema import from_json, to_json


def test_percentiles_of_a_known_distribution():
    samples = [milliseconds * 1_000_000 for milliseconds in range(1, 102)]  # 1 to 101 ms
    found = statistics.summarize_latency(samples)
    assert (found.p50, found.p90, found.p99) == pytest.approx((51, 91, 100))
    assert (found.samples, found.mean, found.max) == pytest.approx((101, 51, 101))


def test_an_outlier_is_kept():
    found = statistics.summarize_latency([1_000_000] * 99 + [500_000_000])
    assert found.max == 500
    assert found.p50 == 1
    assert found.p99 > 1


def test_throughput_counts_faces_a_second_inside_the_calls():
    assert statistics.throughput([10_000_000, 30_000_000], batch=64) == pytest.approx(128 / 0.04)


def test_ratio_is_that_of_the_same_rounds():
    # The machine is ten times slower in the second round, for both.
    found = statistics.compare_rounds([2_000, 200, 2_400], [1_000, 100, 1_000])
    assert found.rounds == pytest.approx((2.0, 2.0, 2.4))
    assert found.median == pytest.approx(2.0)
    assert found.low <= found.median <= found.high


def test_rounds_that_agree_leave_no_doubt():
    found = statistics.compare_rounds([300.0] * 9, [200.0] * 9)
    assert (found.low, found.median, found.high) == pytest.approx((1.5, 1.5, 1.5))


@pytest.mark.parametrize("count", range(6, 61))
def test_the_interval_is_the_shortest_of_two_values_with_95_percent(count):
    values = np.random.default_rng(count).lognormal(0.3, 0.2, count)
    expected = stats.quantile_test(values, q=np.median(values), p=0.5).confidence_interval()
    assert statistics.median_interval(values) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("count", range(6, 16))
def test_the_interval_holds_the_true_median_at_least_as_often_as_it_says(count):
    trials = 2_000
    rounds = np.random.default_rng(0).lognormal(0.0, 0.2, (trials, count))
    intervals = [statistics.median_interval(turn) for turn in rounds]
    assert sum(low <= 1.0 <= high for low, high in intervals) / trials >= 0.95


@pytest.mark.parametrize("count", range(1, 6))
def test_of_few_rounds_the_interval_is_the_range(count):
    found = statistics.compare_rounds([float(value) for value in range(count, 0, -1)], [1.0] * count)
    assert (found.low, found.high) == (1.0, count)


def test_a_ratio_comes_back_from_json():
    found = statistics.compare_rounds([3.0, 1.0, 2.0], [2.0, 2.0, 2.0])
    assert from_json(statistics.Ratio, json.loads(json.dumps(to_json(found)))) == found
