"""Numbers the faces of a video and follows them through the frames without detection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.detector import clip_boxes
from fer_engine.vision.face import Boxes
from fer_engine.vision.image import Image
from fer_engine.vision.video.flow import Floats, Flow
from fer_engine.vision.video.track import Tracker


@dataclass(frozen=True, slots=True)
class TrackedBoxes:
    """The faces of a frame from left to right: boxes, int32 [n, 4], and the track number of each."""

    boxes: Boxes
    tracks: list[int]


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

    def track(self, image: Image, detected: Boxes | None) -> TrackedBoxes:
        """Return the faces of the next frame: `detected`, int32 [n, 4], or, if None, the followed ones."""
        if self._flow is not None:
            found, moved = self._flow.follow(image, self._boxes)
            inside = _inside(moved, image)
            self._boxes = moved[inside]
            self._tracks = [self._tracks[index] for index in np.array(found, int)[inside]]
            self._tracker.move(self._tracks, clip_boxes(self._boxes, image))
        if detected is not None:
            self._tracks = self._tracker.update(detected)
            self._boxes = detected.astype(np.float32)
        boxes = clip_boxes(self._boxes, image)
        order = np.lexsort((boxes[:, 1], boxes[:, 0]))
        return TrackedBoxes(boxes[order], [self._tracks[index] for index in order])


def _inside(boxes: Floats, image: Image) -> NDArray[np.bool_]:
    """Return for each box, [n, 4], whether its centre and at least one whole pixel are in the image."""
    height, width = image.shape[:2]
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    visible = clip_boxes(boxes, image)[:, 2:] > 0
    return np.all((centres >= 0) & (centres < (width, height)) & visible, axis=1)
