"""The amax of an activation, the absolute value that int8's 127 stands for, by four classic methods.

Each takes the counts of |x| in equal bins from 0 to the largest value seen, and returns the amax.
Symmetric int8 has 127 levels on either side of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

LEVELS = 128
PERCENTILE = 99.99

Counts = NDArray[np.int64]


def by_max(_: Counts, largest: float) -> float:
    """Take the largest value seen: nothing is clipped, the scale is coarse."""
    return largest


def by_percentile(counts: Counts, largest: float) -> float:
    """Clip the largest 0.01 % of the values."""
    share = np.cumsum(counts) / counts.sum()
    return float(largest * (np.searchsorted(share, PERCENTILE / 100) + 1) / len(counts))


def by_mse(counts: Counts, largest: float) -> float:
    """Minimize the expected squared error of rounding and clipping (Banner et al., 2018)."""
    width = largest / len(counts)
    centres = (np.arange(len(counts)) + 0.5) * width
    edges = np.arange(LEVELS, len(counts) + 1) * width
    scale = edges[:, None] / (LEVELS - 1)
    rounded = np.minimum(np.rint(centres / scale), LEVELS - 1) * scale
    return float(edges[np.argmin((np.square(rounded - centres) * counts).sum(1))])


def by_entropy(counts: Counts, largest: float) -> float:
    """Minimize the Kullback-Leibler divergence of the quantized distribution.

    Source: S. Migacz, "8-bit inference with TensorRT", GTC 2017.
    """
    width = largest / len(counts)
    # ReLU leaves a heap of zeros that any range holds exactly; it must not outweigh the rest.
    counts = np.concatenate([counts[1:2], counts[1:]])
    best, chosen = np.inf, len(counts)
    for kept in range(LEVELS, len(counts) + 1):
        divergence = _divergence(counts, kept)
        if divergence < best:
            best, chosen = divergence, kept
    return chosen * width


def _divergence(counts: Counts, kept: int) -> float:
    """Return KL(P || Q), P the counts clipped to `kept` bins, Q the same in `LEVELS` levels."""
    reference = counts[:kept].astype(np.float64)
    level = np.arange(kept) * LEVELS // kept
    filled = reference > 0  # before clipping: an empty bin stays empty in Q
    mass = np.bincount(level, weights=reference, minlength=LEVELS)
    occupied = np.bincount(level, weights=filled, minlength=LEVELS)
    quantized = np.where(filled, mass[level] / np.maximum(occupied[level], 1), 0.0)
    reference[-1] += counts[kept:].sum()
    if quantized.sum() == 0:
        return np.inf
    p, q = reference / reference.sum(), quantized / quantized.sum()
    if np.any((p > 0) & (q == 0)):
        return np.inf
    both = p > 0
    return float(np.sum(p[both] * np.log(p[both] / q[both])))


METHODS: dict[str, Callable[[Counts, float], float]] = {
    "max": by_max,
    "percentile": by_percentile,
    "entropy": by_entropy,
    "mse": by_mse,
}


def drop_layers(ranges: dict[str, float], names: Collection[str]) -> dict[str, float]:
    """Return the ranges without those of the layers `names`, which so stay in float."""
    return {name: amax for name, amax in ranges.items() if name not in names}
