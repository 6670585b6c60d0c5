"""Samples of one call's duration: how they are taken and what is said of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 10_000  # puts the bootstrap's own noise well below the spread of the rounds


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of one call in milliseconds, over all samples: none is thrown away."""

    samples: int
    mean: float
    p50: float
    p90: float
    p99: float
    max: float

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A contender's throughput over the baseline's, round by round.

    `low` and `high` bound the median of the rounds with 95 % confidence.
    """

    rounds: tuple[float, ...]
    median: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def summarize(samples_ns: Sequence[int]) -> Latency:
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


def compare(contender: Sequence[float], baseline: Sequence[float], seed: int = 0) -> Ratio:
    """Compare the throughputs of the same rounds.

    The two ran in turn within a round, so what slows the machine for a while slows both and
    leaves their ratio. The interval is the percentile bootstrap of the median (Efron, 1979).
    """
    rounds = np.asarray(contender, np.float64) / np.asarray(baseline, np.float64)
    generator = np.random.default_rng(seed)
    draws = generator.choice(rounds, (RESAMPLES, len(rounds)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return Ratio(tuple(rounds.tolist()), float(np.median(rounds)), float(low), float(high))
