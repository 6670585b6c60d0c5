"""Where the faces of one frame are in the next, by optical flow.

Median flow (Kalal, Mikolajczyk, Matas, "Forward-Backward Error: Automatic Detection of Tracking Failures",
2010): a grid of points in each box is followed by the pyramidal method of Lucas and Kanade, and back again.
The half that comes back closest to where it began moves and scales the box, by its medians.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.image import Image
from fer_engine.vision.library import opencv

# Longer side of the image in which points are followed: in a larger one it takes longer for the same boxes.
SIDE = 320
GRID = 5  # points along a side of a box: ten take twice as long for the same boxes
WINDOW = 15  # pixels around a point that are compared
LEVELS = 2  # times that the image is halved: a point may move by some 30 pixels
MAX_ERROR = 1.0  # pixels by which half of the points may miss their origins; beyond, the face is lost

Floats = NDArray[np.float32]


class Flow:
    """Follows boxes through the frames of one video."""

    def __init__(self) -> None:
        self._last: Any = None
        self._scale = 1.0

    def follow(self, image: Image, boxes: Floats) -> tuple[list[int], Floats]:
        """Follow `boxes`, float32 [n, 4], from the image of the last call to `image`.

        Returns:
            Which of the boxes were found, as indices, and where they are now, float32 [found, 4].
        """
        before, after = self._last, self._shrink(image)
        self._last = after
        if before is None or before.shape != after.shape or not len(boxes):
            return [], np.empty((0, 4), np.float32)
        origins = np.concatenate([_grid(box) for box in boxes]) * np.float32(self._scale)
        there = _track(before, after, origins)
        errors = np.linalg.norm(_track(after, before, there) - origins, axis=1)
        found: list[int] = []
        moved: list[Floats] = []
        for index, rows in enumerate(np.split(np.arange(len(origins)), len(boxes))):
            middle = np.median(errors[rows])
            if middle <= MAX_ERROR:
                good = rows[errors[rows] <= middle]
                found.append(index)
                moved.append(_move(boxes[index], origins[good], there[good], self._scale))
        return found, np.array(moved, np.float32).reshape(-1, 4)

    def _shrink(self, image: Image) -> Any:
        cv2 = opencv()
        self._scale = min(1.0, SIDE / max(image.shape[:2]))
        size = [max(1, round(side * self._scale)) for side in (image.shape[1], image.shape[0])]
        return cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)


def _grid(box: Floats) -> Floats:
    """Return points in the middles of the box's GRID x GRID parts, float32 [GRID * GRID, 2]."""
    steps = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
    x, y = np.meshgrid(box[0] + steps * box[2], box[1] + steps * box[3])
    return np.stack([x.ravel(), y.ravel()], 1)


def _track(before: Any, after: Any, points: Floats) -> Floats:
    """Return where points, [n, 2], of one gray image are in the other; far away where they are lost."""
    there, found, _ = opencv().calcOpticalFlowPyrLK(
        before, after, points[:, np.newaxis], None, winSize=(WINDOW, WINDOW), maxLevel=LEVELS
    )
    there = there[:, 0]
    there[found[:, 0] == 0] = np.float32(1e6)  # misses its origin by more than MAX_ERROR
    return there


def _move(box: Floats, origins: Floats, there: Floats, scale: float) -> Floats:
    """Move and scale a box as points, [n, 2] in an image `scale` times as large, have moved."""
    shift = np.median(there - origins, axis=0) / scale
    one, other = np.triu_indices(len(origins), 1)
    distance = np.linalg.norm(origins[one] - origins[other], axis=1)
    growth = np.median(np.linalg.norm(there[one] - there[other], axis=1) / distance)
    size = box[2:] * growth
    return np.concatenate([box[:2] + box[2:] / 2 + shift - size / 2, size])
