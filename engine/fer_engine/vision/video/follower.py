"""Numbers the faces of a video, and follows them by optical flow through the frames without detection.

Median flow (Kalal, Mikolajczyk, Matas, "Forward-Backward Error: Automatic Detection of Tracking Failures",
2010): a grid of points in each box is tracked to the next frame by the pyramidal method of Lucas and Kanade,
and back again. The half of the points that come back closest to their origins move and scale the box, by
their medians.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.boxes import clip_boxes
from fer_engine.vision.face import Boxes, Detections, Scores
from fer_engine.vision.image import Image
from fer_engine.vision.library import opencv
from fer_engine.vision.resize import shrink
from fer_engine.vision.video.track import Tracker

# Longest side of the image in which points are tracked: a larger one takes longer and gives the same boxes.
LONGEST_SIDE = 320
GRID = 5  # points along a side of a box: ten take twice as long and give the same boxes
WINDOW = 15  # side of the window around a point that is compared, in pixels
LEVELS = 2  # how often the image is halved: a point may move by about 30 pixels
MAX_ERROR = 1.0  # median distance in pixels of tracked-back points from their origins; above, a face is lost

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrackedBoxes:
    """The faces of a frame from left to right: boxes, int32 [n, 4], and the track number of each.

    `scores`, float32 [n], are those of the last detection; None where the detector gives none.
    """

    boxes: Boxes
    tracks: list[int]
    scores: Scores | None


class Follower:
    """Tracks the faces in the frames of one video, given in order.

    Args:
        flow: Follow the faces by optical flow through frames without detection; False if there are none.
    """

    def __init__(self, flow: bool) -> None:
        self._flow = Flow() if flow else None
        self._tracker = Tracker()
        self._boxes: Floats = np.empty((0, 4), np.float32)  # not rounded, because small movements add up
        self._tracks: list[int] = []
        self._scores: Scores | None = None

    def forget(self) -> None:
        """Begin anew at a cut: faces of the next frame get numbers that no face had before."""
        self._flow = self._flow and Flow()
        self._tracker.forget()
        self._boxes, self._tracks, self._scores = self._boxes[:0], [], None

    def track(self, image: Image, detected: Detections | None) -> TrackedBoxes:
        """Return the faces of the next frame: `detected`, or, if None, the followed ones."""
        if self._flow is not None:
            found, moved = self._flow.follow(image, self._boxes)
            inside = _inside(moved, image)
            self._boxes = moved[inside]
            rows = np.array(found, int)[inside]
            self._tracks = [self._tracks[index] for index in rows]
            self._scores = None if self._scores is None else self._scores[rows]
            self._tracker.move(self._tracks, clip_boxes(self._boxes, image))
        if detected is not None:
            self._tracks = self._tracker.update(detected.boxes)
            self._boxes = detected.boxes.astype(np.float32)
            self._scores = detected.scores
        boxes = clip_boxes(self._boxes, image)
        order = np.lexsort((boxes[:, 1], boxes[:, 0]))
        scores = None if self._scores is None else self._scores[order]
        return TrackedBoxes(boxes[order], [self._tracks[index] for index in order], scores)


def _inside(boxes: Floats, image: Image) -> NDArray[np.bool_]:
    """Return for each box, [n, 4], whether its centre and at least one whole pixel are in the image."""
    height, width = image.shape[:2]
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    visible = clip_boxes(boxes, image)[:, 2:] > 0
    return np.all((centres >= 0) & (centres < (width, height)) & visible, axis=1)


class Flow:
    """Follows boxes through the frames of one video."""

    def __init__(self) -> None:
        self._last: Any = None  # the frame before: shrunk, gray, uint8 [h, w]

    def follow(self, image: Image, boxes: Floats) -> tuple[list[int], Floats]:
        """Follow `boxes`, float32 [n, 4], from the image of the last call to `image`.

        Returns:
            The indices of the boxes that were found, and these boxes in `image`, float32 [found, 4].
        """
        cv2 = opencv()
        before, after = self._last, cv2.cvtColor(shrink(image, LONGEST_SIDE), cv2.COLOR_BGR2GRAY)
        scale = min(1.0, LONGEST_SIDE / max(image.shape[:2]))
        self._last = after
        if before is None or before.shape != after.shape or not len(boxes):
            return [], np.empty((0, 4), np.float32)
        origins = np.concatenate([_grid(box) for box in boxes]) * np.float32(scale)
        there = _track(before, after, origins)
        errors = np.linalg.norm(_track(after, before, there) - origins, axis=1)
        found: list[int] = []
        moved: list[Floats] = []
        for index, rows in enumerate(np.split(np.arange(len(origins)), len(boxes))):
            middle = np.median(errors[rows])
            if middle <= MAX_ERROR:
                good = rows[errors[rows] <= middle]
                found.append(index)
                moved.append(_move(boxes[index], origins[good], there[good], scale))
        return found, np.array(moved, np.float32).reshape(-1, 4)


def _grid(box: Floats) -> Floats:
    """Return the centres of the GRID x GRID cells of a box, float32 [GRID * GRID, 2]."""
    steps = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
    x, y = np.meshgrid(box[0] + steps * box[2], box[1] + steps * box[3])
    return np.stack([x.ravel(), y.ravel()], 1)


def _track(before: Any, after: Any, points: Floats) -> Floats:
    """Return the positions in the second gray image of points, [n, 2], in the first."""
    there, found, _ = opencv().calcOpticalFlowPyrLK(
        before, after, points[:, np.newaxis], None, winSize=(WINDOW, WINDOW), maxLevel=LEVELS
    )
    there = there[:, 0]
    there[found[:, 0] == 0] = np.float32(1e6)  # lost: too far from its origin to count
    return there


def _move(box: Floats, origins: Floats, there: Floats, scale: float) -> Floats:
    """Move and scale a box, [4], as its points moved, [n, 2] in an image that was shrunk by `scale`."""
    shift = np.median(there - origins, axis=0) / scale
    one, other = np.triu_indices(len(origins), 1)
    distance = np.linalg.norm(origins[one] - origins[other], axis=1)
    growth = np.median(np.linalg.norm(there[one] - there[other], axis=1) / distance)
    size = box[2:] * growth
    return np.concatenate([box[:2] + box[2:] / 2 + shift - size / 2, size])
