"""How near a speed is to what the machine could do.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline: An Insightful Visual Performance Model for
Multicore Architectures", Communications of the ACM 52(4), 2009. A kernel of given multiply-adds a byte
runs no faster than the arithmetic units, nor than memory can feed them: the lower of the two is its roof.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fer_bench.record.machine_limits import Limits, Rates
from fer_bench.record.record import MeasuredContender, Record

# A value can be computed in a wider type: where a machine has no units for the narrow one, that is the limit.
AT_LEAST = {
    "fp32": ("fp32",),
    "fp16": ("fp16", "fp32"),
    "bf16": ("bf16", "fp32"),
    "int8": ("int8", "fp16", "bf16", "fp32"),
}


@dataclass(frozen=True, slots=True)
class Roof:
    """What limits a model that moves so many bytes: `bound` is "compute" or "memory".

    `intensity` is multiply-adds a byte.
    """

    intensity: float
    bound: str
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Place:
    """One row of the speed table under its roofs.

    `fused` has the least traffic there can be: weights once a batch, faces in and answers out.
    `layered` adds every activation that is written and read between layers; caches that hold them
    allow more than its roof. `peak` is in multiply-adds a second, for the row's precision and threads.
    """

    contender: str
    precision: str
    threads: int
    batch: int
    images_per_second: float
    multiply_adds_per_second: float
    peak: float
    fused: Roof
    layered: Roof


def places(record: Record, limits: Limits, batch: int) -> Iterator[Place]:
    """Give the place of every contender that runs the model on the CPU, at one batch of the record.

    A peer with a network of its own, as in earlier records, has none: its work is not that of the model.
    """
    products, needs = limits.machine.products, limits.model
    for entry in record.speed_at(batch):
        contender = record.contender(entry.contender)
        if not contender.runs_network_on_cpu:
            continue
        precision = contender.number_type
        threads = threads_of(contender, record.environment.usable_cores)
        speed = statistics.median(entry.images_per_second)
        peak = peak_of(products, precision, threads)
        bandwidth = rate(limits.machine.memory.bytes_per_second, threads)
        moved = needs.bytes[precision]
        passes = 2 if contender.tta == "flip" else 1  # the mirrored face is as much work again
        least = passes * (moved.weights / batch + moved.faces_and_answers)
        work = passes * needs.multiply_adds
        yield Place(
            entry.contender,
            precision,
            threads,
            batch,
            speed,
            speed * work,
            peak,
            roof(work, least, peak, bandwidth),
            roof(work, least + passes * moved.activations, peak, bandwidth),
        )


def roof(multiply_adds: float, moved_bytes: float, peak: float, bandwidth: float) -> Roof:
    """Return the roof of an image's work and traffic; `peak` and `bandwidth` are a second's."""
    intensity = multiply_adds / moved_bytes
    by_memory = intensity * bandwidth
    bound = "memory" if by_memory < peak else "compute"
    return Roof(intensity, bound, min(peak, by_memory) / multiply_adds)


def peak_of(products: Mapping[str, Rates], precision: str, threads: int) -> float:
    """Return the highest rate that any product of the precision, or a wider one, reached."""
    return max(
        rate(rates, threads)
        for name, rates in products.items()
        if name.rpartition("/")[2] in AT_LEAST[precision]
    )


def rate(rates: Rates, threads: int) -> float:
    """Return the rate of so many threads: as measured, or between one and all what these allow."""
    return max(min(measured, threads / int(count) * measured) for count, measured in rates.items())


def threads_of(contender: MeasuredContender, cores: int) -> int:
    """Return a contender's threads; a runtime that does not tell may use all cores."""
    threads = contender.info.threads
    return min(threads, cores) if isinstance(threads, int) else cores
