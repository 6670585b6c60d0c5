"""The ranges of the activations that a CPU keeps in uint8, measured on faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_export.int8.activations import LEVELS, find_activations
from fer_export.int8.histograms import measure_histograms

STRIDE = 8  # of the bins' edges that are tried as ends of a range: 256 of them are fine enough
ROUNDS = 3  # of searching one end after the other: a fourth moves no range of mini_xception

Ranges = Mapping[str, Sequence[float]]  # the key of each activation with its [lowest, highest]


def measure_activation_ranges(
    model: onnx.ModelProto,
    faces: NDArray[np.uint8],
    spec: ModelSpec,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Measure [lowest, highest] of every activation on `faces`, uint8 [n, h, w] or [n, h, w, c].

    `advance(count)` is called with the faces done, 2 n in all.

    Raises:
        ConfigError: there are no faces.
        ExportError: an activation is always zero, or not finite.
    """
    measured = find_activations(model, spec).measured
    histograms = measure_histograms(model, measured, faces, advance, absolute=False)
    return {key: best_range(found.counts, found.lowest, found.highest) for key, found in histograms.items()}


def best_range(counts: NDArray[np.int64], lowest: float, highest: float) -> list[float]:
    """Choose the range with the least expected squared error of rounding and clipping to 256 levels.

    `counts` are those of equal bins from `lowest` to `highest`, which zero lies between. The two ends
    are searched in turn over the bins' edges, each on its side of zero.
    """
    edges = np.linspace(lowest, highest, len(counts) + 1)
    centres = (edges[:-1] + edges[1:]) / 2

    def error(low: float, high: float) -> float:
        scale = (high - low) / (LEVELS - 1)
        zero_point = np.rint(-low / scale)
        levels = np.clip(np.rint(centres / scale) + zero_point, 0, LEVELS - 1)
        return float(counts @ np.square((levels - zero_point) * scale - centres))

    low, high = lowest, highest
    for _ in range(ROUNDS):
        high = min(edges[edges > 0][::STRIDE], key=lambda edge: error(low, edge), default=high)
        low = min(edges[edges < 0][::STRIDE], key=lambda edge: error(edge, high), default=low)
    return [float(low), float(high)]
