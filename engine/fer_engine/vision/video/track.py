"""Gives each person in a video a track number, by the overlap of boxes in neighbouring frames.

Detections are matched with the tracks greedily by intersection over union, the largest first, as in the
IoU tracker (Bochinski, Eiselein, Sikora, "High-Speed Tracking-by-Detection Without Using Image Information",
2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.face import Boxes

# Below this intersection over union, two boxes belong to two faces. A detector's boxes of one face overlap by
# more than 0.6 in neighbouring frames; between detections some frames apart a face may move by half its size.
MIN_OVERLAP = 0.3
# Detections in a row that may miss a face before its number is dropped: Haar cascades lose a face that turns
# or blinks for some frames.
MAX_MISSES = 15


class Tracker:
    """Numbers faces from 0 in the order in which they appear; a number is never used again."""

    def __init__(self) -> None:
        self._boxes: Boxes = np.empty((0, 4), np.int32)
        self._numbers: list[int] = []
        self._missed: list[int] = []
        self._next = 0

    def update(self, boxes: Boxes) -> list[int]:
        """Return the track number of each box, int32 [n, 4], that was detected in the next frame."""
        overlap = intersection_over_union(boxes, self._boxes)
        numbers: list[int | None] = [None] * len(boxes)
        taken: set[int] = set()
        for flat in np.argsort(-overlap, axis=None, kind="stable"):
            box, track = divmod(int(flat), len(self._numbers))
            if overlap[box, track] < MIN_OVERLAP:
                break
            if numbers[box] is None and track not in taken:
                numbers[box] = self._numbers[track]
                taken.add(track)
        known = [self._new() if number is None else number for number in numbers]
        lost = [i for i in range(len(self._numbers)) if i not in taken and self._missed[i] < MAX_MISSES]
        self._boxes = np.concatenate([boxes, self._boxes[lost]])
        self._missed = [0] * len(boxes) + [self._missed[i] + 1 for i in lost]
        self._numbers = known + [self._numbers[i] for i in lost]
        return known

    def forget(self) -> None:
        """Drop all tracks: the next boxes get new numbers."""
        self._boxes, self._numbers, self._missed = self._boxes[:0], [], []

    def move(self, numbers: list[int], boxes: Boxes) -> None:
        """Set the boxes, int32 [n, 4], of the tracks `numbers` in a frame without detection."""
        places = [self._numbers.index(number) for number in numbers]
        self._boxes[places] = boxes

    def _new(self) -> int:
        self._next += 1
        return self._next - 1


def intersection_over_union(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union, [n, m], of boxes int32 [n, 4] and [m, 4]."""
    a, b = one[:, np.newaxis].astype(np.float64), other[np.newaxis].astype(np.float64)
    start = np.maximum(a[..., :2], b[..., :2])
    end = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(end - start, 0, None).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared
    return shared / np.maximum(union, 1)
