"""The fastest accepted engine at each batch size, and how much faster it is than others."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from fer_bench.contenders.contender import OVERHEAD
from fer_bench.record.record import Record
from fer_bench.record.statistics import Ratio, compare_rounds


@dataclass(frozen=True, slots=True)
class Headline:
    """The fastest engine at one batch size whose precision the export accepted.

    The ratios are medians of the rounds with their 95 % intervals.
    """

    batch: int
    contender: str
    images_per_second: float
    against_onnxruntime: Ratio
    against_reference: Ratio


def headlines(record: Record) -> list[Headline]:
    """Return one headline a batch size, smallest first; none where no engine was measured."""
    artifact = record.artifact
    accepted = {
        contender.name
        for contender in record.contenders
        if contender.kind == "engine"
        and contender.name != OVERHEAD
        and contender.precision not in artifact.refused
        # A precision is accepted for its best backend; the answers of another may still be too far off.
        and (contender.backend, contender.precision) not in artifact.failing
    }
    found = []
    for batch in sorted(record.options.batches):
        entries = {entry.contender: entry for entry in record.speed_at(batch)}
        rivals = [entry for name, entry in entries.items() if name in accepted]
        if rivals:
            best = max(rivals, key=lambda entry: entry.ratio_to_baseline.median)
            rates = best.images_per_second
            against_reference = compare_rounds(rates, entries[record.reference].images_per_second)
            found.append(
                Headline(
                    batch, best.contender, statistics.median(rates), best.ratio_to_baseline, against_reference
                )
            )
    return found
