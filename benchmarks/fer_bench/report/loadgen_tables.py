"""The scenarios' tables of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fer_bench.passes.loadgen.rules import ALWAYS_DIFFERENT, SECONDS
from fer_bench.record.scenario_runs import AccuracyRun, PerformanceRun
from fer_bench.report.table import UNKNOWN, Table, milliseconds, percent


def tables(runs: Sequence[PerformanceRun | AccuracyRun], against: str) -> Iterator[Table]:
    """Yield a table of the performance runs and one of the accuracy runs, where there are any."""
    if timed := [run for run in runs if isinstance(run, PerformanceRun)]:
        yield _performance(timed)
    if judged := [run for run in runs if isinstance(run, AccuracyRun)]:
        yield _accuracy(judged, against)


def _performance(runs: list[PerformanceRun]) -> Table:
    seconds = runs[0].settings.min_duration_ms / 1000
    metrics = {run.scenario: run.metric.name for run in runs}
    return Table(
        "Scenarios of MLPerf LoadGen",
        (
            "contender",
            "scenario",
            "metric",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "queries",
            "samples",
            "s",
            "verdict",
        ),
        [_row(run) for run in runs],
        " ".join(
            [
                *(f"Metric of {scenario}: {metric}." for scenario, metric in metrics.items()),
                *_server(runs),
                f"Percentiles and verdicts are those of LoadGen {runs[0].loadgen_version}.",
                f"Least duration {seconds:g} s, where MLPerf asks for {SECONDS:g} s.",
                *(
                    f"INVALID, {run.contender}, {run.scenario}: {'; '.join(run.invalid_because)}."
                    for run in runs
                    if not run.valid
                ),
                f"These are no MLPerf results: {'; '.join(ALWAYS_DIFFERENT)}.",
            ]
        ),
    )


def _row(run: PerformanceRun) -> tuple[str, ...]:
    metric, latency = run.metric, run.latency_ms
    figure = milliseconds if metric.unit == "ms" else "{:,.0f}".format
    return (
        run.contender,
        run.scenario,
        UNKNOWN if metric.value is None else f"{figure(metric.value)} {metric.unit}",
        *("" if latency is None else milliseconds(latency[key]) for key in ("p50.00", "p90.00", "p99.00")),
        f"{run.queries:,}",
        f"{run.samples:,}",
        f"{run.seconds:.1f}",
        "VALID" if run.valid else "INVALID",
    )


def _server(runs: list[PerformanceRun]) -> Iterator[str]:
    served = [run for run in runs if run.scenario == "server"]
    if not served:
        return
    bound = (served[0].settings.target_latency_ns or 0) / 1e6
    searched = "searched by bisection over short runs, then confirmed by a whole one"
    yield (
        f"Server: latency bound {bound:g} ms; arrival rate {searched if served[0].search else 'given'}; "
        f"batches of what has arrived, at most {served[0].batching.max_batch}, without a delay."
    )


def _accuracy(runs: list[AccuracyRun], against: str) -> Table:
    return Table(
        "Accuracy under LoadGen",
        ("contender", "scenario", "faces", "same answer %", "top-1 %"),
        [
            (
                run.contender,
                run.scenario,
                f"{run.accuracy.faces:,}",
                percent(run.accuracy.agreement),
                "no labels" if run.accuracy.labelled is None else percent(run.accuracy.labelled.accuracy),
            )
            for run in runs
        ],
        f"Of the very answers that LoadGen received, each face once; same answer as {against}.",
    )
