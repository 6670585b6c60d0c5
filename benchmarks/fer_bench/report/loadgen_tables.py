"""The scenarios' tables of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fer_bench.contenders import reference
from fer_bench.passes.loadgen.rules import ALWAYS_DIFFERENT, SECONDS
from fer_bench.report.table import UNKNOWN, Table, milliseconds, percent

Record = dict[str, Any]


def tables(record: Record) -> Iterator[Table]:
    """Yield a table of the performance runs and one of the accuracy runs, where there are any."""
    entries = record.get("scenarios", [])
    if timed := [entry for entry in entries if entry["mode"] == "performance"]:
        yield _performance(timed)
    if judged := [entry for entry in entries if entry["mode"] == "accuracy"]:
        yield _accuracy(judged, reference.title(record))


def _performance(entries: list[Record]) -> Table:
    seconds = entries[0]["settings"]["min_duration_ms"] / 1000
    metrics = {entry["scenario"]: entry["metric"]["name"] for entry in entries}
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
        [_row(entry) for entry in entries],
        " ".join(
            [
                *(f"Metric of {scenario}: {metric}." for scenario, metric in metrics.items()),
                *_server(entries),
                f"Percentiles and verdicts are those of LoadGen {entries[0]['loadgen_version']}.",
                f"Least duration {seconds:g} s, where MLPerf asks for {SECONDS:g} s.",
                *_invalid(entries),
                f"These are no MLPerf results: {'; '.join(ALWAYS_DIFFERENT)}.",
            ]
        ),
    )


def _row(entry: Record) -> tuple[str, ...]:
    metric, latency = entry["metric"], entry["latency_ms"]
    figure = milliseconds if metric["unit"] == "ms" else "{:,.0f}".format
    return (
        entry["contender"],
        entry["scenario"],
        UNKNOWN if metric["value"] is None else f"{figure(metric['value'])} {metric['unit']}",
        *("" if latency is None else milliseconds(latency[key]) for key in ("p50.00", "p90.00", "p99.00")),
        f"{entry['queries']:,}",
        f"{entry['samples']:,}",
        f"{entry['seconds']:.1f}",
        "VALID" if entry["valid"] else "INVALID",
    )


def _server(entries: list[Record]) -> Iterator[str]:
    served = [entry for entry in entries if entry["scenario"] == "server"]
    if not served:
        return
    bound = served[0]["settings"]["target_latency_ns"] / 1e6
    searched = "searched by bisection over short runs, then confirmed by a whole one"
    yield (
        f"Server: latency bound {bound:g} ms; arrival rate {searched if served[0]['search'] else 'given'}; "
        f"batches of what has arrived, at most {served[0]['batching']['max_batch']}, without a delay."
    )


def _invalid(entries: list[Record]) -> Iterator[str]:
    for entry in entries:
        if not entry["valid"]:
            reasons = "; ".join(entry["invalid_because"])
            yield f"INVALID, {entry['contender']}, {entry['scenario']}: {reasons}."


def _accuracy(entries: list[Record], against: str) -> Table:
    return Table(
        "Accuracy under LoadGen",
        ("contender", "scenario", "faces", "same answer %", "top-1 %"),
        [
            (
                entry["contender"],
                entry["scenario"],
                f"{entry['accuracy']['faces']:,}",
                percent(entry["accuracy"]["agreement"]),
                _top1(entry["accuracy"]["labelled"]),
            )
            for entry in entries
        ],
        f"Of the very answers that LoadGen received, each face once; same answer as {against}.",
    )


def _top1(labelled: Record | None) -> str:
    return "no labels" if labelled is None else percent(labelled["accuracy"])
