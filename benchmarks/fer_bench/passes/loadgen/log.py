"""Reads the logs that LoadGen writes for a run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_bench.passes.loadgen.rules import SCENARIOS
from fer_engine.artifact.schema import from_json
from fer_engine.errors import FerError

DETAIL = "mlperf_log_detail.txt"
ACCURACY = "mlperf_log_accuracy.json"
MARK = ":::MLLOG "
END = "power_end"  # written when all answers are in, in both modes
PERCENTILES = ("50.00", "90.00", "95.00", "97.00", "99.00", "99.90")
# Each constraint, and what LoadGen says where a run broke it.
CONSTRAINTS = {
    "result_perf_constraints_met": "the latency bound was not kept",
    "result_min_duration_met": "the run ended before its least duration",
    "result_min_queries_met": "the run ended before its least number of queries",
}


@dataclass(frozen=True, slots=True)
class _Metadata:
    is_error: bool
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Event:
    """A line of the detail log."""

    key: str
    value: Any
    metadata: _Metadata
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An entry of the accuracy log: the face's number, and its logits (float32) in hexadecimal digits."""

    qsl_idx: int
    data: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _AccuracyLog:
    answers: tuple[_Answer, ...]


def read_detail(path: Path) -> dict[str, Any]:
    """Return the last value of each key of a detail log, and under `errors` all its errors.

    Raises:
        FerError: the file cannot be read, or is no complete detail log.
    """
    found: dict[str, Any] = {"errors": []}
    try:
        for line in path.read_text("utf-8").splitlines():
            if line.startswith(MARK):
                event = from_json(_Event, json.loads(line.removeprefix(MARK)))
                found[event.key] = event.value
                if event.metadata.is_error:
                    found["errors"].append(f"{event.key}: {event.value}")
    except (OSError, ValueError) as error:
        raise FerError(f"cannot read LoadGen's log {path} ({error}); run the scenario again") from None
    if END not in found:
        raise FerError(f"LoadGen's log {path} ends too early; run the scenario again")
    return found


def read_answers(path: Path, samples: int) -> NDArray[np.float32]:
    """Return the logits [samples, classes] that LoadGen received, in the samples' order.

    Multi-stream issues some samples twice to fill its last query: the first answer counts.

    Raises:
        FerError: the file is no accuracy log, or a sample has no answer in it.
    """
    try:
        log = from_json(_AccuracyLog, {"answers": json.loads(path.read_text("utf-8"))})
        rows = {
            answer.qsl_idx: np.frombuffer(bytes.fromhex(answer.data), "<f4")
            for answer in reversed(log.answers)
        }
    except (OSError, ValueError) as error:
        raise FerError(f"cannot read LoadGen's answers {path} ({error}); run the scenario again") from None
    if lost := set(range(samples)) - set(rows):
        raise FerError(
            f"{len(lost)} of {samples} faces have no answer in {path}, the first is {min(lost)}; every face "
            "must be answered: run the scenario again"
        )
    return np.stack([rows[index] for index in range(samples)])


def performance_result(scenario: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Return verdict, metric and latencies of a performance run, by LoadGen's own account.

    Latencies are in ms; of multi-stream they are those of whole queries, of offline there are
    none: all its samples are issued at once.
    """
    rules = SCENARIOS[scenario]
    valid = detail["result_validity"] == "VALID" and not detail["errors"]
    # Without enough queries there is no early-stopping estimate: LoadGen leaves a 0.
    metric = detail[rules.key] if detail["early_stopping_met"] or rules.unit != "ms" else None
    infix = "per_query_latency" if scenario == "multi-stream" else "latency"
    percentiles = {f"p{name}": detail[f"result_{name}_percentile_{infix}_ns"] / 1e6 for name in PERCENTILES}
    return {
        "valid": valid,
        "invalid_because": [] if valid else _reasons(detail),
        "metric": {
            "name": rules.metric,
            "unit": rules.unit,
            "value": None if metric is None else metric * rules.scale,
        },
        "latency_ms": None if scenario == "offline" else percentiles,
        "queries": detail["result_query_count"],
        "samples": detail["result_query_count"] * detail["effective_samples_per_query"],
        "late_queries": detail.get("result_overlatency_query_count"),
    }


def settings(detail: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that LoadGen says it used."""
    mark = "effective_"
    return {key.removeprefix(mark): value for key, value in detail.items() if key.startswith(mark)}


def _reasons(detail: dict[str, Any]) -> list[str]:
    reasons = [text for key, text in CONSTRAINTS.items() if detail.get(key) is False]
    if not detail["early_stopping_met"]:
        said = " ".join(detail["early_stopping_result"].replace("*", "").split())
        reasons.append(f"early stopping: {said.rstrip('.')}")
    return reasons + detail["errors"]
