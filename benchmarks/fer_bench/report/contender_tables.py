"""The tables of a report with a row a contender or runtime."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping

from fer_bench.contenders.contender import OVERHEAD
from fer_bench.contenders.peers.registry import PEERS
from fer_bench.record.record import MeasuredContender, Memory, Record, RuntimeSize, Speed
from fer_bench.report.table import UNKNOWN, Table, milliseconds, number, percent
from fer_export.verify.parity import Accuracy
from fer_export.verify.votes import VotedAccuracy

SPEED_COLUMNS = ("contender", "ratio", "images/s", "p50 ms", "p90 ms", "p99 ms", "calls", "threads")


def speed(record: Record) -> Iterator[Table]:
    for batch in record.options.batches:
        entries = {entry.contender: entry for entry in record.speed_at(batch)}
        overhead = entries.pop(OVERHEAD).latency_ms
        fastest_first = sorted(entries.values(), key=lambda entry: -entry.ratio_to_baseline.median)
        yield Table(
            f"Speed, batch {batch}",
            SPEED_COLUMNS,
            [_speed_row(entry, record.contender(entry.contender)) for entry in fastest_first],
            f"Median of {record.options.rounds} interleaved rounds, each contender in a process of its own; "
            "the ratio is the median of the rounds' ratios to a plain onnxruntime session (fp32, default "
            "options), with its 95 % interval (fewer than 6 rounds have none: their whole range). Engine "
            "and harness without a model: "
            f"{overhead.p50 * 1000:.1f} us a call (p50).{_choices(record)}",
            ranked=True,
        )


def _choices(record: Record) -> str:
    """Return what the engine chose where precision or backend were left to it."""
    chosen = {entry.name: entry.info for entry in record.contenders if "/auto" in entry.name}
    return "".join(f" {name} chose {info.backend}/{info.precision}." for name, info in chosen.items())


def _speed_row(entry: Speed, contender: MeasuredContender) -> tuple[str, ...]:
    latency = entry.latency_ms
    return (
        contender.name,
        str(entry.ratio_to_baseline),
        f"{statistics.median(entry.images_per_second):,.0f}",
        *map(milliseconds, (latency.p50, latency.p90, latency.p99)),
        f"{latency.samples:,}",
        str(contender.info.threads),
    )


def startup(record: Record) -> Iterator[Table]:
    rows = []
    for contender in sorted(record.contenders, key=lambda contender: _start_ns(record, contender.name)):
        starts = record.startup[contender.name].cold_starts
        parts = [(one.total_ns, one.import_ns, one.load_ns, one.first_call_ns) for one in starts]
        times = (milliseconds(statistics.median(part) / 1e6) for part in zip(*parts, strict=True))
        size = "" if contender.name == OVERHEAD else f"{contender.bytes / 1000:,.0f}"
        rows.append((contender.name, size, *times))
    yield Table(
        "Cold start",
        ("contender", "kB", "start ms", "import ms", "load ms", "call ms"),
        rows,
        f"Start is import, load and first call: the median of {record.options.cold_starts} new "
        "processes in turn, the interpreter's own start left out.",
    )


def _start_ns(record: Record, name: str) -> float:
    return statistics.median(start.total_ns for start in record.startup[name].cold_starts)


def memory(record: Record) -> Iterator[Table]:
    needed = [(name, found.memory) for name, found in record.startup.items()]
    yield Table(
        "Memory",
        ("contender", "peak MiB", "steady MiB", "faces"),
        [_memory_row(*entry) for entry in sorted(needed, key=lambda entry: entry[1].peak_bytes or math.inf)],
        "Resident memory of a new process that predicts so many faces, so many a call: the largest, and "
        "what it still holds when it has answered and waits (interpreter, runtime, graph, and what the "
        "runtime's allocator keeps). The largest counts the harness's faces too: all of them where one call "
        "takes them all.",
    )


def _memory_row(name: str, found: Memory) -> tuple[str, ...]:
    sizes = map(_mebibytes, (found.peak_bytes, found.steady_bytes))
    return (name, *sizes, f"{found.faces:,} by {found.faces_a_call:,}")


def sizes(record: Record) -> Iterator[Table]:
    yield Table(
        "Size of the runtimes",
        ("runtime", "MiB", "packages (MiB)"),
        [_size_row(*entry) for entry in sorted(record.runtime_sizes.items(), key=_size)],
        "Files on disk as installed here, with the packages that each requires.",
    )


def _size(entry: tuple[str, RuntimeSize | None]) -> float:
    return math.inf if entry[1] is None else entry[1].bytes


def _size_row(runtime: str, found: RuntimeSize | None) -> tuple[str, ...]:
    if found is None:
        return runtime, UNKNOWN, ""
    largest_first = sorted(found.packages.items(), key=lambda entry: -entry[1])
    packages = ", ".join(f"{name} {_mebibytes(size)}" for name, size in largest_first)
    return runtime, _mebibytes(found.bytes), packages


def energy(record: Record) -> Iterator[Table]:
    by_cpu = {name: joules for name, joules in record.energy.items() if name != OVERHEAD}
    for title, found, source in (
        ("Energy", by_cpu, record.energy_source),
        ("Energy of the GPU", record.gpu_energy or {}, record.gpu_energy_source),
    ):
        known = {name: joules for name, joules in found.items() if joules is not None}
        if known:
            yield Table(
                title,
                ("contender", "mJ an image"),
                [(name, f"{1000 * joules:.3g}") for name, joules in known.items()],
                f"{source}; batch {max(record.options.batches)}.",
            )


def skipped(record: Record) -> Iterator[Table]:
    if record.skipped:
        yield Table(
            "Not measured",
            ("contender", "reason"),
            [(entry.name, entry.reason) for entry in record.skipped],
            "These cannot run here.",
        )


def _mebibytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 2**20:,.0f}"


def parity(record: Record) -> Iterator[Table]:
    title = record.reference_title
    yield Table(
        f"Parity with {title}",
        ("contender", "same answer %", "changed", "max logit diff", "mean logit diff"),
        [
            (
                name,
                percent(found.agreement),
                str(found.changed),
                f"{found.max_abs_difference:.2g}",
                f"{found.mean_abs_difference:.2g}",
            )
            for name, found in sorted(record.parity.items(), key=lambda entry: entry[1].changed)
            if name != record.reference
        ],
        f"On {record.inputs.description}; the reference's logits span "
        f"{record.parity[record.reference].logit_range:.3g}.",
    )
    labelled = {name: found.labelled for name, found in record.parity.items() if found.labelled is not None}
    if labelled:
        yield _accuracy(record, labelled)
        yield _recall("Recall by class", record, labelled)
    voted = {name: found.voted for name, found in record.parity.items() if found.voted is not None}
    if voted:
        yield _accuracy_by_votes(record, labelled, voted)
        yield _changes_by_votes(record, voted)
        yield _recall("Recall by class of the FER+ majority", record, voted)


def _accuracy(record: Record, labelled: Mapping[str, Accuracy]) -> Table:
    return Table(
        "Accuracy",
        ("contender", "top-1 % [95 %]", "right to wrong", "wrong to right", "McNemar p", "ECE"),
        [
            (name, _top_1(found), *_flips(found, itself=name == record.reference), f"{found.ece:.4f}")
            for name, found in sorted(labelled.items(), key=_falling_accuracy)
        ],
        f"Wilson interval of each accuracy; flips, exact McNemar p against {record.reference_title}; "
        "expected calibration error of 15 equal-width bins.",
    )


def _falling_accuracy(entry: tuple[str, Accuracy]) -> float:
    return -entry[1].accuracy


def _accuracy_by_votes(
    record: Record, labelled: Mapping[str, Accuracy], voted: Mapping[str, VotedAccuracy]
) -> Table:
    faces = voted[record.reference]
    return Table(
        "Accuracy against labels and votes",
        ("contender", "labels: top-1 % [95 %]", "FER+ majority: top-1 % [95 %]", "ECE, labels", "ECE, votes"),
        [
            (name, _top_1(labelled[name]), _top_1(found), f"{labelled[name].ece:.4f}", f"{found.ece:.4f}")
            for name, found in sorted(voted.items(), key=_falling_accuracy)
        ],
        f"The labels are those of all {record.inputs.faces:,} faces; the FER+ majority is the label that "
        f"more than half of a face's annotators gave, which {faces.faces:,} faces have. The calibration "
        "error against votes counts an answer as right by its share of the votes; it is over these faces and "
        f"the {faces.split_faces:,} others with votes for the labels.",
    )


def _changes_by_votes(record: Record, voted: Mapping[str, VotedAccuracy]) -> Table:
    return Table(
        "Changed answers by votes",
        ("contender", "right to wrong", "wrong to right", "McNemar p", "changed, majority", "changed, split"),
        [
            (
                name,
                *_flips(found, itself=False),
                _changed(found.changed_clear, found.faces),
                _changed(found.changed_split, found.split_faces),
            )
            for name, found in sorted(voted.items(), key=_changes)
            if name != record.reference
        ],
        f"Answers other than {record.reference_title}'s. Right and wrong, and exact McNemar p, are by the "
        "FER+ majority. Split faces have votes for the labels, and no majority for one of them.",
    )


def _changes(entry: tuple[str, VotedAccuracy]) -> int:
    return entry[1].changed_clear + entry[1].changed_split


def _changed(changed: int, faces: int) -> str:
    return f"{changed:,} of {faces:,}" + (f" ({percent(changed / faces)} %)" if faces else "")


def _recall(title: str, record: Record, found: Mapping[str, Accuracy]) -> Table:
    """Return the reference's recall, and the difference of whoever answers otherwise at all."""
    return Table(
        title,
        ("contender", *record.artifact.labels),
        [
            (name, *_shares(entry, itself=name == record.reference))
            for name, entry in found.items()
            if name == record.reference or record.parity[name].changed
        ],
        f"{record.reference_title} in percent, the others' differences from it in points; who is not here "
        "answers all faces as it does.",
    )


def _top_1(found: Accuracy) -> str:
    low, high = found.interval
    return f"{percent(found.accuracy)} [{percent(low)}, {percent(high)}]"


def _flips(found: Accuracy, *, itself: bool) -> tuple[str, ...]:
    flips = (str(found.right_to_wrong), str(found.wrong_to_right), f"{found.mcnemar_p:.2g}")
    return ("", "", "") if itself else flips


def _shares(found: Accuracy, *, itself: bool) -> Iterator[str]:
    shares, form = (found.recall, ".1f") if itself else (found.recall_difference, "+.1f")
    return (number(None if share is None else 100 * share, form) for share in shares)


def peers(record: Record) -> Iterator[Table]:
    found = [entry for entry in record.contenders if entry.kind in PEERS]
    if found:
        sources = dict.fromkeys(str(entry.info.source) for entry in found)
        yield Table(
            "Peers",
            ("contender", "version", "computes in", "settings"),
            [
                (entry.name, str(entry.info.version), _computed_in(entry), str(entry.info.settings))
                for entry in found
            ],
            f"The settings stand in the runtimes' documentation: {', '.join(sources)}.",
        )


def _computed_in(entry: MeasuredContender) -> str:
    """Return the precision that the runtime says it computed the convolutions in, else the one asked for."""
    if not entry.info.executed:
        return entry.precision
    return ", ".join(f"{kind}: {count}" for kind, count in entry.info.executed.items())
