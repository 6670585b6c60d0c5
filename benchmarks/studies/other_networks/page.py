"""The field as a table: accuracy and speed of every network, from committed records alone.

Speed is of one record, in which all were measured in the same rounds, and so is the accuracy of packages.
That of networks that ship is of the record of all networks, and that of the tutorials' networks that do not
ship is of the log of their training.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fer_bench.contenders.contender import BASELINE, REFERENCE
from fer_bench.report.table import milliseconds, percent, pipes
from fer_engine.artifact.schema import from_json
from fer_export.verify.parity import Accuracy, wilson_interval
from studies.models import RUNS, training
from studies.models_record import MeasuredNetwork, NetworkSpeed, NetworksRecord
from studies.other_networks.own import TUTORIALS
from studies.other_networks.record import MeasuredPeerNetwork, OtherNetworksRecord, OwnAccuracy

MODELS_RECORD = RUNS.parent / "models.json"
Group = Literal["this project", "tutorials", "packages"]
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Point:
    """A share of right answers with its 95 % Wilson interval."""

    accuracy: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = map(percent, self.interval)
        return f"{percent(self.accuracy)} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Row:
    """A network of the field; an accuracy is None where it was not measured.

    `note` says what is odd about its accuracy, "" where nothing is.
    """

    name: str
    group: Group
    labels: Point | None
    majority: Point | None
    speed: Mapping[str, NetworkSpeed]
    start_seconds: float
    note: str = ""


def read_rows(record: OtherNetworksRecord, models: Path = MODELS_RECORD, runs: Path = RUNS) -> list[Row]:
    """Return the networks of the record, this project's first, each group from the fastest to the slowest.

    Raises:
        SchemaError: the record of all networks is damaged.
        OSError: it cannot be read.
    """
    known = {
        network.model: network
        for network in from_json(NetworksRecord, json.loads(models.read_text("utf-8"))).models
    }
    rows = [
        _row(network, known.get(network.name), runs, record.faces.faces)
        for network in record.networks
        if network.name != BASELINE
    ]
    order: tuple[Group, ...] = ("this project", "tutorials", "packages")
    first = str(min(record.batches))
    return sorted(rows, key=lambda row: (order.index(row.group), -row.speed[first].median))


def _row(network: MeasuredPeerNetwork, known: MeasuredNetwork | None, runs: Path, faces: int) -> Row:
    start = statistics.median(start.total_ns for start in network.startup.cold_starts) / 1e9
    group: Group = "tutorials" if network.name in TUTORIALS else "this project"
    if network.kind == "package":
        points = _point(network.accuracy), _point(network.majority)
        return Row(network.name, "packages", *points, network.speed, start)
    if known is not None:
        answers = known.answers[REFERENCE]
        points = _point(answers.labelled), _point(answers.voted)
        return Row(network.name, group, *points, network.speed, start)
    run = training(runs / network.name)
    if run is None:
        return Row(network.name, group, None, None, network.speed, start)
    best = Point(run.best, wilson_interval(round(run.best * faces), faces))
    note = (
        f"the best of {run.finished} epochs, by the log of its training; timed with weights drawn at random"
    )
    return Row(network.name, group, best, None, network.speed, start, note)


def _point(measured: OwnAccuracy | Accuracy | None) -> Point | None:
    return None if measured is None else Point(measured.accuracy, measured.interval)


def render(record: OtherNetworksRecord, rows: Sequence[Row]) -> str:
    """Return the table and what each row is, in Markdown."""
    batches = [str(batch) for batch in record.batches]
    columns = (
        "network",
        "top-1 % [95 %]",
        "FER+ % [95 %]",
        *(f"ms a face, batch {batch}" for batch in batches),
        *(f"ratio, batch {batch} [95 %]" for batch in batches),
        "start, s",
    )
    table = pipes(columns, (_cells(row, batches) for row in rows))
    return "\n".join([*_head(record), "", *table, "", *_notes(record, rows)]) + "\n"


def _cells(row: Row, batches: Sequence[str]) -> Iterator[str]:
    yield f"{row.name} ({row.group})"
    yield str(row.labels or NOT_MEASURED)
    yield str(row.majority or NOT_MEASURED)
    yield from (milliseconds(1000 / row.speed[batch].median) for batch in batches)
    yield from (_ratio(row.speed[batch]) for batch in batches)
    yield f"{row.start_seconds:.1f}"


def _ratio(speed: NetworkSpeed) -> str:
    ratio = speed.ratio
    return NOT_MEASURED if ratio is None else f"{ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _head(record: OtherNetworksRecord) -> Iterator[str]:
    machine, load = record.environment, record.environment.load_average
    yield (
        f"Measured {record.date[:10]} on {record.faces.description}; {machine.cpu or 'an unknown CPU'}, "
        f"{machine.usable_cores} cores, load average {_load(load.before)} before and {_load(load.after)} "
        f"after; {record.rounds} rounds."
    )


def _load(average: float | None) -> str:
    return "unknown" if average is None else f"{average:.2f}"


def _notes(record: OtherNetworksRecord, rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.note:
            yield f"- {row.name}: {row.note}."
    for network in record.networks:
        if network.kind == "package":
            info = network.info
            yield (
                f"- [{network.name}]({info.source}) {info.version}: {info.settings}; threads: {info.threads}."
            )
    for skipped in record.skipped:
        yield f"- {skipped.name}: {NOT_MEASURED} ({skipped.reason})."
