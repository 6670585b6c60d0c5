"""The record as tables: on a terminal or in Markdown, from the JSON alone."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from fer_bench import record as records
from fer_bench.contender import OVERHEAD, REFERENCE
from fer_engine.errors import FerError

Record = dict[str, Any]
WIDTH = 120  # of the terminal's tables
UNKNOWN = "not available"


@dataclass(frozen=True, slots=True)
class Table:
    """`note` says how to read the figures."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str


def render_table(record: Record) -> str:
    """Return the record as tables of plain text.

    Raises:
        FerError: it is no record of this format, or parts of it are missing.
    """
    head, tables = _parts(record)
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
    """Return the record as Markdown.

    Raises:
        FerError: it is no record of this format, or parts of it are missing.
    """
    head, tables = _parts(record)
    lines = [f"# {head[0]}", "", *(f"- {line}" for line in head[1:])]
    for table in tables:
        lines += ["", f"## {table.title}", "", _pipes(table.columns)]
        lines += [_pipes(("---", *("---:" for _ in table.columns[1:])))]
        lines += [_pipes(row) for row in table.rows]
        lines += ["", table.note]
    return "\n".join(lines) + "\n"


def _pipes(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _parts(record: Record) -> tuple[list[str], list[Table]]:
    records.check(record)
    try:
        return _head(record), [*_speed(record), _startup(record), *_parity(record)]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise FerError(
            f"the benchmark record is damaged ({type(error).__name__}: {error}); measure again with fer-bench"
        ) from None


def _head(record: Record) -> list[str]:
    machine, artifact, load = record["environment"], record["artifact"], record["environment"]["load_average"]
    flags = machine["cpu_flags"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    busy = record["options"]["busy"]
    refused = artifact.get("refused", {})  # older records have none
    return [
        f"Benchmark of {artifact['model']}, {record['date']}",
        f"command: {record['command']} ({record['seconds']:.0f} s)",
        f"faces: {record['inputs']['description']}",
        f"checkpoint: SHA-256 {artifact['checkpoint_sha256'][:16]}",
        (
            f"CPU: {machine['cpu'] or UNKNOWN}, {machine['usable_cores']} of {machine['cores']} cores "
            f"usable, {UNKNOWN if flags is None else ' '.join(flags)}; "
            f"governor {machine['governor'] or UNKNOWN}; GPU {machine['gpu']}"
        ),
        (
            f"load average: {_number(load['before'], '.2f')} before, {_number(load['after'], '.2f')} after; "
            f"processes kept busy beside on purpose: {busy}"
        ),
        f"software: {machine['os']}, Python {machine['python']}, {versions}",
        *(f"refused by the export's gate: {name}: {reason}" for name, reason in refused.items()),
    ]


def _speed(record: Record) -> Iterator[Table]:
    options = record["options"]
    threads = {entry["name"]: str(entry["info"]["threads"]) for entry in record["contenders"]}
    for batch in options["batches"]:
        entries = [entry for entry in record["speed"] if entry["batch"] == batch]
        overhead = next(entry["latency_ms"] for entry in entries if entry["contender"] == OVERHEAD)
        rows = [
            _speed_row(entry, threads[entry["contender"]])
            for entry in entries
            if entry["contender"] != OVERHEAD
        ]
        yield Table(
            f"Speed, batch {batch}",
            (
                "contender",
                "threads",
                "images/s",
                "calls",
                "p50 ms",
                "p90 ms",
                "p99 ms",
                "against onnxruntime",
            ),
            rows,
            f"Median of {options['rounds']} interleaved rounds, each contender in a process of its own; the "
            "ratio is the median of the rounds' ratios to a plain onnxruntime session (fp32, default "
            "options), with its 95 % bootstrap interval. Engine and harness without a model: "
            f"{overhead['p50'] * 1000:.1f} us a call (p50).",
        )


def _speed_row(entry: Record, threads: str) -> tuple[str, ...]:
    ratio = entry["ratio"]
    return (
        entry["contender"],
        threads,
        f"{statistics.median(entry['images_per_second']):,.0f}",
        f"{entry['latency_ms']['samples']:,}",
        *(_milliseconds(entry["latency_ms"][key]) for key in ("p50", "p90", "p99")),
        f"{ratio['median']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]",
    )


def _startup(record: Record) -> Table:
    rows = []
    for contender in record["contenders"]:
        name = contender["name"]
        found, memory = record["startup"][name], record["startup"][name]["memory"]
        starts = found["cold_starts"]
        keys = ("total_ns", "import_ns", "load_ns", "first_call_ns")
        times = (_milliseconds(statistics.median(start[key] for start in starts) / 1e6) for key in keys)
        peak = memory["peak_bytes"]
        rows.append(
            (
                name,
                "" if name == OVERHEAD else f"{contender['bytes'] / 1000:,.0f}",
                *times,
                UNKNOWN if peak is None else f"{peak / 2**20:,.0f}",
                f"{memory['faces']:,} by {memory['faces_a_call']:,}",
            )
        )
    return Table(
        "Cold start and memory",
        ("contender", "kB", "start ms", "import ms", "load ms", "call ms", "peak MiB", "faces"),
        rows,
        f"Start is import, load and first call: the median of {record['options']['cold_starts']} new "
        "processes in turn, the interpreter's own start left out; the peak is the resident memory of a new "
        "process that predicts so many faces, so many a call.",
    )


def _parity(record: Record) -> Iterator[Table]:
    yield Table(
        "Parity with PyTorch",
        ("contender", "same answer %", "changed", "max logit diff", "mean logit diff"),
        [
            (
                name,
                _percent(found["agreement"]),
                str(found["changed"]),
                f"{found['max_abs_difference']:.2g}",
                f"{found['mean_abs_difference']:.2g}",
            )
            for name, found in record["parity"].items()
            if name != REFERENCE
        ],
        f"On {record['inputs']['description']}; the reference's logits span "
        f"{record['parity'][REFERENCE]['logit_range']:.3g}.",
    )
    if not record["inputs"]["labelled"]:
        return
    labelled = {name: found["labelled"] for name, found in record["parity"].items()}
    yield Table(
        "Accuracy",
        ("contender", "top-1 % [95 %]", "right to wrong", "wrong to right", "McNemar p", "ECE"),
        [(name, *_accuracy(name, found)) for name, found in labelled.items()],
        "Wilson interval of each accuracy; flips, exact McNemar p against PyTorch; expected calibration "
        "error of 15 equal-width bins.",
    )
    yield Table(
        "Recall by class",
        ("contender", *record["artifact"]["labels"]),
        [(name, *_recall(name, found)) for name, found in labelled.items()],
        "PyTorch in percent, the others' differences from it in points.",
    )


def _accuracy(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    low, high = found["interval"]
    flips = (str(found["right_to_wrong"]), str(found["wrong_to_right"]), f"{found['mcnemar_p']:.2g}")
    return (
        f"{_percent(found['accuracy'])} [{_percent(low)}, {_percent(high)}]",
        *(flips if name != REFERENCE else ("", "", "")),
        f"{found['ece']:.4f}",
    )


def _recall(name: str, found: dict[str, Any]) -> Iterator[str]:
    key, form = ("recall", ".1f") if name == REFERENCE else ("recall_difference", "+.1f")
    return (_number(None if share is None else 100 * share, form) for share in found[key])


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)
