from __future__ import annotations

import numpy as np
import pytest

from fer_export.int8.range_methods import LEVELS, METHODS

BINS = 2048


def histogram(values: np.ndarray) -> tuple[np.ndarray, float]:
    largest = float(np.abs(values).max())
    return np.histogram(np.abs(values), BINS, (0, largest))[0], largest


def rounding_error(values: np.ndarray, reach: float) -> float:
    step = reach / (LEVELS - 1)
    return float(np.square(np.clip(np.rint(values / step), -127, 127) * step - values).mean())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_flat_distribution_is_not_clipped(method):
    counts, largest = np.full(BINS, 100), 5.0
    assert METHODS[method](counts, largest) == pytest.approx(largest, rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_far_outlier_is_clipped_and_rounding_gets_finer(method):
    values = np.append(np.random.default_rng(0).normal(size=100_000), 40.0)
    reach = METHODS[method](*histogram(values))
    assert 2.5 < reach < 10
    assert METHODS["max"](*histogram(values)) == 40.0
    assert rounding_error(values[:-1], reach) < rounding_error(values[:-1], 40.0) / 4


def test_percentile_leaves_one_in_ten_thousand_beyond():
    values = np.abs(np.random.default_rng(0).normal(size=1_000_000))
    reach = METHODS["percentile"](*histogram(values))
    assert (values > reach).mean() == pytest.approx(1e-4, abs=5e-5)


def test_mse_finds_the_best_of_a_fine_grid():
    values = np.append(np.random.default_rng(1).laplace(size=200_000), 40.0)
    counts, largest = histogram(values)
    reach = METHODS["mse"](counts, largest)
    grid = np.linspace(0.1, 1.0, 91) * largest
    best = min(rounding_error(values, candidate) for candidate in grid)
    assert rounding_error(values, reach) == pytest.approx(best, rel=0.02)


def test_entropy_is_not_misled_by_the_zeros_that_relu_leaves():
    positive = np.abs(np.random.default_rng(2).normal(size=100_000))
    with_zeros = np.concatenate([positive, np.zeros(900_000)])
    assert METHODS["entropy"](*histogram(with_zeros)) == pytest.approx(
        METHODS["entropy"](*histogram(positive)), rel=0.15
    )
