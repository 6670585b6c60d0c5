"""The rules of MLPerf Inference for each scenario, and which of them a run kept.

Sources: the table of scenarios in `inference_rules.adoc` of mlcommons/inference_policies, and the
`mlperf.conf` that LoadGen 6.0 carries.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SECONDS = 600.0  # least duration of a run, in every scenario
SAMPLES_PER_QUERY = 8  # of multi-stream
LATENCY_BOUND_MS = 10.0  # of server, where the benchmark names no other
SEEDS = {
    "qsl_rng_seed": 2085463073848966840,
    "sample_index_rng_seed": 2747215439041700203,
    "schedule_rng_seed": 16159082839903944936,
}
PERCENTILES = {
    "single_stream_target_latency_percentile": 0.90,
    "multi_stream_target_latency_percentile": 0.99,
    "server_target_latency_percentile": 0.99,
}


class Scenario(NamedTuple):
    """`key` is the field of LoadGen's detail log with the metric, `scale` brings it to `unit`.

    `min_queries` is the least number of queries; of offline, which is one query, of samples: 100 is
    LoadGen's default, 662 is in `mlperf.conf`, 24,576 in the rules.
    """

    loadgen: str
    metric: str
    key: str
    scale: float
    unit: str
    min_queries: int


SCENARIOS = {
    "single-stream": Scenario(
        "SingleStream",
        "90th percentile latency, early-stopping estimate",
        "early_stopping_latency_ss",
        1e-6,
        "ms",
        100,
    ),
    "multi-stream": Scenario(
        "MultiStream",
        "99th percentile latency of a query, early-stopping estimate",
        "early_stopping_latency_ms",  # "ms" is multi-stream: the value is in ns
        1e-6,
        "ms",
        662,
    ),
    # The rules leave the number of queries to early stopping, which at the 99th percentile accepts
    # no fewer than 459, and 1,000 with a few late ones among them.
    "server": Scenario(
        "Server",
        "queries answered a second, 99 % within the latency bound",
        "result_completed_samples_per_sec",
        1.0,
        "queries/s",
        1_000,
    ),
    "offline": Scenario(
        "Offline", "samples answered a second", "result_samples_per_second", 1.0, "samples/s", 24_576
    ),
}

ALWAYS_DIFFERENT = (
    "network and faces are none of MLPerf's benchmarks, so no accuracy target of MLPerf applies",
    "no compliance test, submission checker or audit was run",
    "LoadGen and the engine share one Python process, whose interpreter is part of the latency",
)


def conformance(scenario: str, mode: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return which rules of MLPerf a run kept, and how it departed from the others.

    `settings` are those that LoadGen says it used. No run here is an MLPerf result.
    """
    rules = SCENARIOS[scenario]
    kept = ["an unmodified LoadGen issued the queries, took the times and judged the run"]
    departures = list(ALWAYS_DIFFERENT)
    if all(settings[name] == seed for name, seed in SEEDS.items()):
        kept.append("the random seeds are those of LoadGen 6.0's mlperf.conf")
    else:
        departures.append("the random seeds are not those of LoadGen 6.0's mlperf.conf")
    least: list[tuple[str, float, float]] = []
    if mode == "performance":
        least.append(("least duration in seconds", settings["min_duration_ms"] / 1000, SECONDS))
        if scenario == "offline":
            least.append(("samples", settings["min_sample_count"], rules.min_queries))
        elif scenario != "server":
            least.append(("least number of queries", settings["min_query_count"], rules.min_queries))
    for what, got, asked in least:
        (kept if got >= asked else departures).append(f"{what}: {got:g}, MLPerf's own is {asked:g}")
    if scenario == "multi-stream" and settings["samples_per_query"] != SAMPLES_PER_QUERY:
        departures.append(
            f"samples a query: {settings['samples_per_query']}, MLPerf's own is {SAMPLES_PER_QUERY}"
        )
    return {"mlperf_result": False, "kept": kept, "departures": departures}
