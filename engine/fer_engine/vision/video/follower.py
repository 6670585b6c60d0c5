"""The faces of each frame with their tracks: detected in some frames, followed in the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.face import Boxes
from fer_engine.vision.image import Image
from fer_engine.vision.video.flow import Floats, Flow
from fer_engine.vision.video.track import Tracker


@dataclass(frozen=True, slots=True)
class Located:
    """The faces of a frame from left to right: boxes, int32 [n, 4], and the track of each."""

    boxes: Boxes
    tracks: list[int]


class Follower:
    """Locates the faces in the frames of one video, given in order.

    Args:
        between: Whether there are frames without detection; else no flow is computed.
    """

    def __init__(self, between: bool) -> None:
        self._flow = Flow() if between else None
        self._tracker = Tracker()
        self._boxes: Floats = np.empty((0, 4), np.float32)  # not rounded: small movements add up
        self._tracks: list[int] = []

    def locate(self, image: Image, detected: Boxes | None) -> Located:
        """Return the faces of the next frame: those `detected`, int32 [n, 4], or the last ones, followed."""
        if self._flow is not None:
            found, moved = self._flow.follow(image, self._boxes)
            inside = _inside(moved, image)
            self._boxes = moved[inside]
            self._tracks = [self._tracks[index] for index in np.array(found, int)[inside]]
            self._tracker.move(self._tracks, _in_image(self._boxes, image))
        if detected is not None:
            self._tracks = self._tracker.update(detected)
            self._boxes = detected.astype(np.float32)
        boxes = _in_image(self._boxes, image)
        order = np.lexsort((boxes[:, 1], boxes[:, 0]))
        return Located(boxes[order], [self._tracks[index] for index in order])


def _in_image(boxes: Floats, image: Image) -> Boxes:
    """Return boxes, [n, 4], in whole pixels and cut off at the image's edges, as `as_boxes` does."""
    height, width = image.shape[:2]
    edges = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    edges = np.rint(edges).clip(0, [width, height, width, height]).astype(np.int32)
    return np.hstack([edges[:, :2], edges[:, 2:] - edges[:, :2]])


def _inside(boxes: Floats, image: Image) -> NDArray[np.bool_]:
    """Tell of boxes, [n, 4], which have their centre and a whole pixel in the image."""
    height, width = image.shape[:2]
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    visible = _in_image(boxes, image)[:, 2:] > 0
    return np.all((centres >= 0) & (centres < (width, height)) & visible, axis=1)
