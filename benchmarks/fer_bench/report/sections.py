"""The sections of a report: tables from the record alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from fer_bench.contenders import reference
from fer_bench.contenders.contender import OVERHEAD
from fer_bench.report.table import UNKNOWN, Table, milliseconds, number, percent

Record = dict[str, Any]


def speed(record: Record) -> Iterator[Table]:
    options = record["options"]
    contenders = {entry["name"]: entry for entry in record["contenders"]}
    for batch in options["batches"]:
        entries = [entry for entry in record["speed"] if entry["batch"] == batch]
        overhead = {entry["contender"]: entry["latency_ms"] for entry in entries}[OVERHEAD]
        rows = [
            _speed_row(entry, contenders[entry["contender"]])
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
                "ratio",
            ),
            rows,
            f"Median of {options['rounds']} interleaved rounds, each contender in a process of its own; the "
            "ratio is the median of the rounds' ratios to a plain onnxruntime session (fp32, default "
            "options), with its 95 % interval (fewer than 6 rounds have none: their whole range). Engine "
            "and harness without a model: "
            f"{overhead['p50'] * 1000:.1f} us a call (p50).{_choices(record)}",
        )


def _choices(record: Record) -> str:
    """Return what the engine chose where precision or backend were left to it."""
    chosen = {entry["name"]: entry["info"] for entry in record["contenders"] if "/auto" in entry["name"]}
    return "".join(f" {name} chose {info['backend']}/{info['precision']}." for name, info in chosen.items())


def _speed_row(entry: Record, contender: Record) -> tuple[str, ...]:
    ratio = entry["ratio"]
    return (
        contender["name"],
        str(contender["info"]["threads"]),
        f"{statistics.median(entry['images_per_second']):,.0f}",
        f"{entry['latency_ms']['samples']:,}",
        *(milliseconds(entry["latency_ms"][key]) for key in ("p50", "p90", "p99")),
        f"{ratio['median']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]",
    )


def startup(record: Record) -> Iterator[Table]:
    keys = ("total_ns", "import_ns", "load_ns", "first_call_ns")
    rows = []
    for contender in record["contenders"]:
        starts = record["startup"][contender["name"]]["cold_starts"]
        times = (milliseconds(statistics.median(start[key] for start in starts) / 1e6) for key in keys)
        size = "" if contender["name"] == OVERHEAD else f"{contender['bytes'] / 1000:,.0f}"
        rows.append((contender["name"], size, *times))
    yield Table(
        "Cold start",
        ("contender", "kB", "start ms", "import ms", "load ms", "call ms"),
        rows,
        f"Start is import, load and first call: the median of {record['options']['cold_starts']} new "
        "processes in turn, the interpreter's own start left out.",
    )


def memory(record: Record) -> Iterator[Table]:
    yield Table(
        "Memory",
        ("contender", "peak MiB", "steady MiB", "faces"),
        [_memory_row(name, found["memory"]) for name, found in record["startup"].items()],
        "Resident memory of a new process that predicts so many faces, so many a call: the largest, and "
        "what it still holds when it has answered and waits (interpreter, runtime, graph, and what the "
        "runtime's allocator keeps). The largest counts the harness's faces too: all of them where one call "
        "takes them all.",
    )


def _memory_row(name: str, found: Record) -> tuple[str, ...]:
    sizes = (_mebibytes(found[key]) for key in ("peak_bytes", "steady_bytes"))
    return (name, *sizes, f"{found['faces']:,} by {found['faces_a_call']:,}")


def sizes(record: Record) -> Iterator[Table]:
    yield Table(
        "Size of the runtimes",
        ("runtime", "MiB", "packages (MiB)"),
        [
            (runtime, UNKNOWN, "")
            if found is None
            else (
                runtime,
                _mebibytes(found["bytes"]),
                ", ".join(f"{name} {_mebibytes(size)}" for name, size in _largest_first(found["packages"])),
            )
            for runtime, found in record["runtime_sizes"].items()
        ],
        "Files on disk as installed here, with the packages that each requires.",
    )


def energy(record: Record) -> Iterator[Table]:
    joules = {
        name: value for name, value in record["energy"].items() if value is not None and name != OVERHEAD
    }
    if joules:
        yield Table(
            "Energy",
            ("contender", "mJ an image"),
            [(name, f"{1000 * value:.3g}") for name, value in joules.items()],
            f"{record['energy_source']}; batch {max(record['options']['batches'])}.",
        )
    if gpu := {name: value for name, value in record.get("gpu_energy", {}).items() if value is not None}:
        yield Table(
            "Energy of the GPU",
            ("contender", "mJ an image"),
            [(name, f"{1000 * value:.3g}") for name, value in gpu.items()],
            f"{record['gpu_energy_source']}; batch {max(record['options']['batches'])}.",
        )


def skipped(record: Record) -> Iterator[Table]:
    if record["skipped"]:
        yield Table(
            "Not measured",
            ("contender", "reason"),
            [(entry["name"], entry["reason"]) for entry in record["skipped"]],
            "These cannot run here.",
        )


def _largest_first(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda entry: -entry[1])


def _mebibytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 2**20:,.0f}"


def parity(record: Record) -> Iterator[Table]:
    name_of, title = reference.of_record(record), reference.title(record)
    yield Table(
        f"Parity with {title}",
        ("contender", "same answer %", "changed", "max logit diff", "mean logit diff"),
        [
            (
                name,
                percent(found["agreement"]),
                str(found["changed"]),
                f"{found['max_abs_difference']:.2g}",
                f"{found['mean_abs_difference']:.2g}",
            )
            for name, found in record["parity"].items()
            if name != name_of
        ],
        f"On {record['inputs']['description']}; the reference's logits span "
        f"{record['parity'][name_of]['logit_range']:.3g}.",
    )
    if not record["inputs"]["labelled"]:
        return
    labelled = {name: found["labelled"] for name, found in record["parity"].items()}
    yield Table(
        "Accuracy",
        ("contender", "top-1 % [95 %]", "right to wrong", "wrong to right", "McNemar p", "ECE"),
        [(name, *_accuracy(found, itself=name == name_of)) for name, found in labelled.items()],
        f"Wilson interval of each accuracy; flips, exact McNemar p against {title}; expected calibration "
        "error of 15 equal-width bins.",
    )
    yield Table(
        "Recall by class",
        ("contender", *record["artifact"]["labels"]),
        [(name, *_recall(found, itself=name == name_of)) for name, found in labelled.items()],
        f"{title} in percent, the others' differences from it in points.",
    )


def _accuracy(found: Record, *, itself: bool) -> tuple[str, ...]:
    low, high = found["interval"]
    flips = (str(found["right_to_wrong"]), str(found["wrong_to_right"]), f"{found['mcnemar_p']:.2g}")
    return (
        f"{percent(found['accuracy'])} [{percent(low)}, {percent(high)}]",
        *(("", "", "") if itself else flips),
        f"{found['ece']:.4f}",
    )


def _recall(found: Record, *, itself: bool) -> Iterator[str]:
    key, form = ("recall", ".1f") if itself else ("recall_difference", "+.1f")
    return (number(None if share is None else 100 * share, form) for share in found[key])
