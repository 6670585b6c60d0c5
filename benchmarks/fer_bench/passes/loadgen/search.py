"""Searches the highest rate of queries at which the server scenario keeps its latency bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

TRIALS = 6  # bisections of the logarithm of a 16-fold range: what is left of it is 1.04-fold
RANGE = 16.0
DOUBLINGS = 3  # of a ceiling that was estimated too low
BACK_OFF = 0.9  # after a confirming run that failed, as the rules of MLPerf ask
CONFIRMATIONS = 5

Result = dict[str, Any]
Run = Callable[[float], Result]  # runs the scenario at a rate in queries a second


def highest_valid_rate(ceiling: float, trial: Run, confirm: Run) -> tuple[Result, list[Result]]:
    """Return the result of the confirming run, and all runs in order with rate, verdict and latency.

    `trial` is a short run, `confirm` one of full length; both take a rate in queries a second. `ceiling`
    is a rate that should be too high; it is doubled where it is not. The rate that the short runs find
    must pass a run of full length, because the verdict of a short run near the limit is random: where it
    fails, the rate is lowered and tried again. Where no rate passes, the last failed result is returned.
    """
    runs: list[Result] = []
    rate = _bisect(ceiling, _recorded("trial", trial, runs))
    confirm = _recorded("confirming", confirm, runs)
    any_valid = any(run["valid"] for run in runs)
    result = confirm(rate)
    for _ in range(CONFIRMATIONS - 1):
        if result["valid"] or not any_valid:
            break
        rate *= BACK_OFF
        result = confirm(rate)
    return result, runs


def _bisect(ceiling: float, trial: Run) -> float:
    floor = ceiling / RANGE
    for _ in range(DOUBLINGS):
        if not trial(ceiling)["valid"]:
            break
        floor, ceiling = ceiling, 2 * ceiling
    low, high = math.log(floor), math.log(ceiling)
    for _ in range(TRIALS):
        middle = (low + high) / 2
        if trial(math.exp(middle))["valid"]:
            low = middle
        else:
            high = middle
    return math.exp(low)


def _recorded(kind: str, run: Run, runs: list[Result]) -> Run:
    """Return `run`, which then also appends what it found to `runs`."""

    def recorded(qps: float) -> Result:
        result = run(qps)
        p99 = result["latency_ms"]["p99.00"]
        runs.append({"run": kind, "qps": qps, "valid": result["valid"], "p99_ms": p99})
        return result

    return recorded
