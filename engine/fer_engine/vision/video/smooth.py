"""Smooths each face's probabilities over the frames of a video."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError

Probabilities = NDArray[np.float32]

# Frames for which the probabilities of an absent face are kept; after a longer absence smoothing starts anew.
MAX_ABSENCE = 30


class Smoother:
    """Averages the probabilities of each track over its frames: `s = weight * s + (1 - weight) * p`.

    Simple exponential smoothing (Brown, "Statistical Forecasting for Inventory Control", 1959): after n
    frames the average has followed `1 - weight**n` of a sudden change.

    Args:
        weight: Weight of the earlier frames, from 0 (no smoothing) to below 1.

    Raises:
        ConfigError: `weight` is out of range.
    """

    def __init__(self, weight: float) -> None:
        check_weight(weight)
        self._weight = np.float32(weight)
        self._frame = 0
        self._known: dict[int, tuple[int, Probabilities]] = {}  # by track: the last frame, and its average

    def update(self, tracks: list[int], probabilities: Probabilities) -> Probabilities:
        """Return the smoothed probabilities, float32 [n, classes], of the faces of the next frame."""
        self._frame += 1
        smooth = probabilities.copy()
        for row, track in enumerate(tracks):
            if track in self._known:
                smooth[row] += self._weight * (self._known[track][1] - smooth[row])
            self._known[track] = (self._frame, smooth[row])
        oldest = self._frame - MAX_ABSENCE
        self._known = {track: seen for track, seen in self._known.items() if seen[0] >= oldest}
        return smooth


def check_weight(weight: float) -> None:
    """Raise ConfigError unless `weight` is at least 0 and below 1."""
    if not 0 <= weight < 1:
        raise ConfigError(f"smoothing must be from 0 (off) to below 1, got {weight}")
