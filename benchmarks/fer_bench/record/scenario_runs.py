"""One run of a scenario of MLPerf LoadGen, timed or judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fer_engine.artifact.schema import SchemaError
from fer_export.verify.parity import Parity

PERCENTILES = ("p50.00", "p90.00", "p99.00")  # that a report shows


@dataclass(frozen=True, slots=True)
class Batching:
    """How queries were made into calls; `dynamic` collects what has arrived."""

    max_batch: int
    delay_ms: float
    dynamic: bool


@dataclass(frozen=True, slots=True)
class LoadgenSettings:
    """The settings that LoadGen says it used; `extra` keeps those that no report reads."""

    min_duration_ms: float
    target_latency_ns: float | None = None  # of server
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conformance:
    """Which rules of MLPerf a run kept, and how it departed from the others."""

    mlperf_result: bool
    kept: tuple[str, ...]
    departures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """LoadGen's own metric; `value` is None where too few queries ran for an estimate."""

    name: str
    unit: str
    value: float | None


@dataclass(frozen=True, slots=True)
class RateTried:
    """One run of the search for the highest arrival rate in queries a second."""

    run: str
    qps: float
    valid: bool
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRun:
    """What both modes tell; `logs` is the folder of LoadGen's logs, beside the record."""

    scenario: str
    contender: str
    seconds: float
    batching: Batching
    loadgen_version: str
    settings: LoadgenSettings
    conformance: Conformance
    logs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRun(ScenarioRun):
    """A timed run; `latency_ms` are percentiles as "p99.00", None in offline.

    `search` are the runs that found the arrival rate, None where it was given.
    """

    mode: Literal["performance"]
    valid: bool
    invalid_because: tuple[str, ...]
    metric: Metric
    latency_ms: dict[str, float] | None
    queries: int
    samples: int
    late_queries: int | None
    search: tuple[RateTried, ...] | None
    accuracy: None = None

    def __post_init__(self) -> None:
        if self.latency_ms is not None and not {*PERCENTILES} <= {*self.latency_ms}:
            raise SchemaError("latency_ms", f"of {', '.join(PERCENTILES)}", ", ".join(self.latency_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRun(ScenarioRun):
    """A run that answered every face once; `accuracy` is of the answers that LoadGen received."""

    mode: Literal["accuracy"]
    accuracy: Parity
