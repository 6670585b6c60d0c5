"""Tables of what --profile measured."""

from __future__ import annotations

from collections.abc import Iterator

from fer_bench.record.machine_limits import Limits, MachineLimits, OperatorTime, Profile, TheoreticalPeak
from fer_bench.record.record import MeasuredContender, Record
from fer_bench.report import roofline
from fer_bench.report.roofline import Place, Roof
from fer_bench.report.table import UNKNOWN, Table, milliseconds

TOP = 10
GIGA = 1e9
UNDER_A_ROOF = ("bound", "roof %")
DISTANCE_COLUMNS = (
    *("contender", "images/s", "G/s", "peak %"),
    *("fused: /byte", *UNDER_A_ROOF),
    *("layered: /byte", *UNDER_A_ROOF),
)
OPERATOR_COLUMNS = ("layer or operator", "type", "kernel", "ms", "share %", "M mult.-adds", "peak %")


def tables(record: Record) -> Iterator[Table]:
    """Give the machine's limits, the distance of each row to them, and where its time goes."""
    limits = record.limits
    if limits is None:
        return
    yield _machine(limits.machine)
    for batch in record.options.batches:
        yield _distance(record, limits, batch)
    cores = record.environment.usable_cores
    for name, profile in limits.operators.items():
        yield _operators(record.contender(name), profile, limits.machine, cores)


def _machine(machine: MachineLimits) -> Table:
    memory = machine.memory
    rates = memory.bytes_per_second
    rows = [
        (f"{name}, G multiply-adds/s", *(f"{product[count] / GIGA:,.1f}" for count in rates))
        for name, product in machine.products.items()
    ]
    rows.append(("memory, GB/s", *(f"{rate / GIGA:,.1f}" for rate in rates.values())))
    return Table(
        "Limits of this machine",
        ("probe", *(f"{count} thread{'s' if count != '1' else ''}" for count in rates)),
        rows,
        "The highest rates that large matrix products reached here, and STREAM's Copy or Add on arrays of "
        f"{_mebibytes(memory.array_bytes)} (last cache {_mebibytes(memory.last_cache_bytes)}). "
        + _theoretical(machine.theoretical),
    )


def _theoretical(found: TheoreticalPeak | None) -> str:
    if found is None:
        return "Clock or vector width cannot be read here: no theoretical peak."
    return (
        f"One core's theoretical fp32 peak: {found.multiply_adds_per_second / GIGA:,.1f} G, "
        f"{found.multiply_adds_a_cycle} multiply-adds a cycle at the {found.hertz / GIGA:.2f} GHz "
        "that the system tells; the true clock may be higher."
    )


def _distance(record: Record, limits: Limits, batch: int) -> Table:
    work = limits.model.multiply_adds / 1e6
    rows = [
        (
            place.contender,
            f"{place.images_per_second:,.0f}",
            f"{place.multiply_adds_per_second / GIGA:,.1f}",
            _share(place.multiply_adds_per_second, place.peak),
            *_under(place, place.fused),
            *_under(place, place.layered),
        )
        for place in sorted(
            roofline.places(record, limits, batch), key=lambda place: -place.images_per_second
        )
    ]
    return Table(
        f"Distance to the limit, batch {batch}",
        DISTANCE_COLUMNS,
        rows,
        f"G/s and /byte count multiply-adds, {work:,.2f} M an image. "
        "Peak is that of the row's precision and threads; roof is the roofline's (Williams et al., 2009) for "
        "the traffic to memory if all is fused, and if every layer reads and writes memory: above 100 % of "
        "that, caches hold what lies between layers.",
    )


def _under(place: Place, roof: Roof) -> tuple[str, ...]:
    return f"{roof.intensity:,.1f}", roof.bound, _share(place.images_per_second, roof.images_per_second)


def _operators(contender: MeasuredContender, profile: Profile, machine: MachineLimits, cores: int) -> Table:
    threads = profile.threads or cores
    precision = contender.number_type
    peak = roofline.peak_of(machine.products, precision, threads)
    operators = sorted(profile.operators, key=lambda operator: -operator.ms)
    total = sum(operator.ms for operator in operators)
    rows = [_operator_row(operator, total, peak) for operator in operators[:TOP]]
    others = operators[TOP:]
    if others:
        spent = sum(operator.ms for operator in others)
        rows.append((f"{len(others)} others", "", "", milliseconds(spent), _share(spent, total), "", ""))
    return Table(
        f"Where the time goes: {contender.name}",
        OPERATOR_COLUMNS,
        rows,
        f"{profile.faces} faces a run on {threads} thread{'s' if threads > 1 else ''}, by the runtime's "
        f"own counters, medians of {profile.runs} runs: {milliseconds(total)} ms of the "
        f"{milliseconds(profile.run_ms)} ms that a run took while they counted. The peak is that of "
        f"{precision}.",
    )


def _operator_row(operator: OperatorTime, total: float, peak: float) -> tuple[str, ...]:
    work, taken = operator.multiply_adds, operator.ms
    reached = (f"{work / 1e6:,.1f}", _share(work * 1e3 / taken, peak) if taken else "") if work else ("", "")
    return (
        operator.layer or operator.name,
        operator.type,
        operator.kernel,
        milliseconds(taken),
        _share(taken, total),
        *reached,
    )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else ""


def _mebibytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 2**20:,.0f} MiB"
