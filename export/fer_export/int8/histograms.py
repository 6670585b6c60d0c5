"""Histograms of a graph's tensors over given faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.errors import ExportError
from fer_export.graph.observe import observe_tensors

BINS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """The counts of equal bins from `lowest`, at most zero, to `highest`, at least zero."""

    counts: NDArray[np.int64]
    lowest: float
    highest: float


def measure_histograms(
    model: onnx.ModelProto,
    tensors: Mapping[str, Sequence[str]],
    faces: NDArray[np.uint8],
    advance: Callable[[int], None],
    *,
    absolute: bool,
) -> dict[str, Histogram]:
    """Count the values (or `absolute` values) of all `tensors` under one key in one histogram.

    Two passes over `faces`, uint8 [n, ...], so that memory does not grow with `n`: the extremes, then
    the counts between them. `advance(count)` is called with the faces done, 2 n in all.

    Raises:
        ConfigError: there are no faces.
        ExportError: the values of a key are always zero, or not finite.
    """
    keys = {tensor: key for key, members in tensors.items() for tensor in members}

    def observed() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for batch in observe_tensors(model, list(keys), faces, advance):
            for tensor, values in batch.items():
                yield keys[tensor], np.abs(values) if absolute else values

    lowest, highest = dict.fromkeys(tensors, 0.0), dict.fromkeys(tensors, 0.0)
    for key, values in observed():  # NumPy's extremes, which keep what is not a number, as Python's do not
        lowest[key] = float(np.minimum(lowest[key], values.min()))
        highest[key] = float(np.maximum(highest[key], values.max()))
    for key in tensors:
        if not 0 < highest[key] - lowest[key] < np.inf:
            raise ExportError(
                f"activation {key} goes from {lowest[key]} to {highest[key]}, expected a finite range "
                "around zero; check the checkpoint"
            )
    counts = {key: np.zeros(BINS, np.int64) for key in tensors}
    for key, values in observed():
        counts[key] += np.histogram(values, BINS, (lowest[key], highest[key]))[0]
    return {key: Histogram(counts[key], lowest[key], highest[key]) for key in tensors}
