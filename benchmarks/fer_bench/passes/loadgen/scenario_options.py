"""The scenarios to run with LoadGen, and their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fer_bench.passes.loadgen.rules import LATENCY_BOUND_MS, SAMPLES_PER_QUERY, SCENARIOS
from fer_engine.errors import ConfigError

MODES = {"performance": "PerformanceOnly", "accuracy": "AccuracyOnly"}
MAX_BATCH = 64  # the same for every contender: larger ones hardly raise the throughput, only the latency
ONE_SCENARIO = {"latency_bound_ms": "server", "samples_per_query": "multi-stream"}


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """Scenarios and modes to run; None leaves a value to the scenario.

    `logs` is the folder, made where it is missing, that keeps LoadGen's logs. `target_qps` is the
    arrival rate of server, or the rate that offline is expected to reach, from which LoadGen takes
    the number of its samples. Without it the highest rate at which server keeps its latency bound
    is searched, and offline's is estimated.
    """

    scenarios: tuple[str, ...]
    logs: str
    modes: tuple[str, ...] = ("performance",)
    target_qps: float | None = None
    latency_bound_ms: float | None = None
    seconds: float = 10.0  # MLPerf asks for 600: this is for a look, not for a claim
    min_queries: int | None = None
    samples_per_query: int | None = None

    def __post_init__(self) -> None:
        for what, given, known in (("scenario", self.scenarios, SCENARIOS), ("mode", self.modes, MODES)):
            for name in given:
                if name not in known:
                    raise ConfigError(f"unknown {what} {name!r}, expected some of {', '.join(known)}")
        for name in ("target_qps", "latency_bound_ms", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{_in_words(name)} must be a number above 0, got {value!r}")
        for name in ("min_queries", "samples_per_query"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"{_in_words(name)} must be a whole number of at least 1, got {value!r}")
        self._check_use()

    def _check_use(self) -> None:
        if self.target_qps is not None and not {"server", "offline"} & set(self.scenarios):
            raise ConfigError(
                "target qps has no meaning without the scenario server or offline: leave it out, or name one"
            )
        for name, scenario in ONE_SCENARIO.items():
            if getattr(self, name) is not None and scenario not in self.scenarios:
                raise ConfigError(
                    f"{_in_words(name)} has no meaning without the scenario {scenario}: leave it out, or "
                    "name the scenario"
                )

    def check_faces(self, count: int) -> None:
        """Make sure that `count` faces are enough.

        Raises:
            ConfigError: a query would hold more samples than there are faces.
        """
        if "multi-stream" in self.scenarios and self.samples_in("multi-stream") > count:
            raise ConfigError(
                f"samples per query must be at most the number of faces, {count}, got "
                f"{self.samples_in('multi-stream')}"
            )

    def samples_in(self, scenario: str) -> int:
        """Return the number of samples in one query."""
        return (self.samples_per_query or SAMPLES_PER_QUERY) if scenario == "multi-stream" else 1

    def fields(self, scenario: str) -> dict[str, Any]:
        """Return the fields of LoadGen's TestSettings that are asked for."""
        return {
            "min_duration_ms": round(self.seconds * 1000),
            "min_query_count": self.min_queries or SCENARIOS[scenario].min_queries,
            "multi_stream_samples_per_query": self.samples_in(scenario),
            "server_target_latency_ns": round((self.latency_bound_ms or LATENCY_BOUND_MS) * 1e6),
        }


def _in_words(name: str) -> str:
    return name.replace("_", " ").removesuffix(" ms")
