"""What is computed of the durations of calls: percentiles, rates, and ratios with their intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

DOUBT = 0.05  # how often an interval of 95 % may miss


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of one call in milliseconds, over all samples: none is thrown away."""

    samples: int
    mean: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A contender's throughput over the baseline's, round by round.

    `low` and `high` are the `median_interval` of the rounds.
    """

    rounds: tuple[float, ...]
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f}x [{self.low:.2f}, {self.high:.2f}]"


def summarize_latency(samples_ns: Sequence[int]) -> Latency:
    milliseconds = np.asarray(samples_ns, np.float64) / 1e6
    p50, p90, p99 = np.percentile(milliseconds, (50, 90, 99))
    return Latency(
        samples=len(milliseconds),
        mean=float(milliseconds.mean()),
        p50=float(p50),
        p90=float(p90),
        p99=float(p99),
        max=float(milliseconds.max()),
    )


def throughput(samples_ns: Sequence[int], batch: int) -> float:
    """Return faces a second of time spent inside the calls."""
    return batch * len(samples_ns) / (sum(samples_ns) / 1e9)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return two of the values between which the true median lies with at least 95 % confidence.

    As many values are left out at either end as the binomial distribution of those below the median
    allows, whatever the values' own distribution (Thompson, 1936; David and Nagaraja, "Order
    Statistics", 7.1). Fewer than 6 values bound nothing with 95 %: their whole range, all that there
    is, holds the median with 1 - 2 / 2**n, which is 94 % of 5 and 75 % of 3.
    """
    ordered, count = sorted(values), len(values)
    outside = accumulate(2 * math.comb(count, left_out) for left_out in range(count // 2))
    left_out = max(0, sum(each <= DOUBT * 2**count for each in outside) - 1)
    return float(ordered[left_out]), float(ordered[-1 - left_out])


def compare_rounds(contender: Sequence[float], baseline: Sequence[float]) -> Ratio:
    """Compare the throughputs of the same rounds.

    The two ran in turn within a round, so what slows the machine for a while slows both and
    leaves their ratio.
    """
    rounds = tuple(own / other for own, other in zip(contender, baseline, strict=True))
    return Ratio(rounds, statistics.median(rounds), *median_interval(rounds))
