"""The record as tables: on a terminal or in Markdown."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from fer_bench.contenders.reference import PYTORCH
from fer_bench.record.record import Record
from fer_bench.report import contender_tables, limits_tables, loadgen_tables
from fer_bench.report.table import UNKNOWN, Table, number, pipes

WIDTH = 120  # of the terminal's tables
# Each makes the tables of one part of the record; none where the record has no such part.
TABLES: tuple[Callable[[Record], Iterable[Table]], ...] = (
    contender_tables.speed,
    contender_tables.startup,
    contender_tables.memory,
    contender_tables.sizes,
    contender_tables.energy,
    contender_tables.parity,
    contender_tables.peers,
    lambda record: loadgen_tables.tables(record.scenarios or (), record.reference_title),
    limits_tables.tables,
    contender_tables.skipped,
)


def render_text(record: Record) -> str:
    """Return the record as tables of plain text."""
    head, tables = head_and_tables(record)
    return plain_text(head, tables)


def plain_text(head: Iterable[str], tables: Iterable[Table]) -> str:
    """Return lines and tables as plain text."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, highlight=False, markup=False)
    console.print("\n".join(head))
    for table in tables:
        drawn = RichTable(box=box.SIMPLE_HEAD)
        for place, column in enumerate(table.columns):
            drawn.add_column(column, justify="right" if place else "left", no_wrap=not place)
        for row in table.rows:
            drawn.add_row(*row)
        console.print("", table.title, drawn, table.note, sep="\n")
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def render_markdown(record: Record) -> str:
    """Return the record as Markdown."""
    head, tables = head_and_tables(record)
    lines = [f"# {head[0]}", "", *(f"- {line}" for line in head[1:])]
    for table in tables:
        lines += ["", f"## {table.title}", "", *pipes(table.columns, table.rows, ranked=table.ranked)]
        lines += ["", table.note]
    return "\n".join(lines) + "\n"


def head_and_tables(record: Record) -> tuple[list[str], list[Table]]:
    """Return the title with the lines that say what was measured where, and the tables."""
    return _head(record), [table for tables in TABLES for table in tables(record)]


def _head(record: Record) -> list[str]:
    machine, artifact = record.environment, record.artifact
    flags, load = machine.cpu_flags, machine.load_average
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return [
        f"Benchmark of {artifact.model} on {machine.cpu or 'an unknown CPU'}, {machine.usable_cores} cores",
        f"date: {record.date}",
        f"command: {record.command} ({record.seconds:.0f} s)",
        f"faces: {record.inputs.description}",
        f"checkpoint: SHA-256 {artifact.checkpoint_sha256[:16]}",
        (
            f"CPU: {machine.cpu or UNKNOWN}, {machine.usable_cores} of {machine.cores} cores "
            f"usable, {UNKNOWN if flags is None else ' '.join(flags)}; "
            f"governor {machine.governor or UNKNOWN}; GPU {machine.gpu}"
        ),
        (
            f"load average: {number(load.before, '.2f')} before, {number(load.after, '.2f')} after; "
            f"processes kept busy beside on purpose: {record.options.busy}"
        ),
        *_device(record),
        f"energy: {record.energy_source}",
        f"software: {machine.os}, Python {machine.python}, {versions}",
        *_reference(record),
        *(f"refused by the export's gate: {name}: {reason}" for name, reason in artifact.refused.items()),
    ]


def _device(record: Record) -> Iterator[str]:
    """Say where the engine ran, if not on the CPU."""
    if record.gpu_energy_source is not None:
        device = record.options.device
        yield f"device of the engine: {device}; PyTorch, plain onnxruntime and the peers run on the CPU"
        yield f"energy of {device}: {record.gpu_energy_source}"


def _reference(record: Record) -> Iterator[str]:
    """Say what answers are held against, if not PyTorch."""
    if record.reference != PYTORCH:
        yield (
            f"reference: {record.reference_title}, on the artifact's own graph: it was made from an ONNX "
            "file, without a PyTorch network"
        )
