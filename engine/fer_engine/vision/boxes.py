"""What detectors return, checked: boxes in whole pixels of the image, from left to right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import InputError
from fer_engine.vision.face import Boxes, Detections, Scores
from fer_engine.vision.image import Image


def as_detections(found: Any, image: Image, min_score: float | None = None) -> Detections:
    """Check what a detector found in `image` and return it as detections from left to right.

    Boxes are rounded to whole pixels and clipped to the image; a box outside the image is left out, and so is
    one whose score is below `min_score`.

    Args:
        found: `Detections`, or boxes as for `as_boxes`.
        image: uint8 [height, width, 3] or [height, width].
        min_score: The lowest score of a face; None for all faces.

    Raises:
        InputError: `found` has another form, its numbers are none of boxes or scores, or it has no scores and
            `min_score` is given.
    """
    if not isinstance(found, Detections) or found.scores is None:
        if min_score is not None:
            raise InputError(
                "the detector gives boxes without scores, of which min_face_score cannot be asked; leave it "
                "out, or give a detector that returns fer_engine.vision.Detections with scores"
            )
        return Detections(as_boxes(found.boxes if isinstance(found, Detections) else found, image))
    boxes, rows = _checked(found.boxes, image)
    scores = _checked_scores(found.scores, found.boxes)[rows]
    if min_score is not None:
        kept = scores >= min_score
        boxes, scores = boxes[kept], scores[kept]
    return Detections(boxes, scores)


def as_boxes(found: Any, image: Image) -> Boxes:
    """Check what a detector found in `image` and return it as boxes, int32 [n, 4], from left to right.

    Boxes are rounded to whole pixels and clipped to the image; a box outside the image is left out.

    Args:
        found: n rows of left, top, width, height in pixels, as an array or as lists; or `Detections`.
        image: uint8 [height, width, 3] or [height, width].

    Raises:
        InputError: `found` has another form, a number is not finite, or a width or height is not above 0.
    """
    return _checked(found.boxes if isinstance(found, Detections) else found, image)[0]


def _checked(found: Any, image: Image) -> tuple[Boxes, NDArray[np.intp]]:
    """Return the boxes from left to right, int32 [m, 4], and the row of `found` of each."""
    boxes = _as_numbers(found)
    wrong = ~(np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1))
    if wrong.any():
        index = int(wrong.argmax())
        raise InputError(
            f"the detector's box {index} is {boxes[index].tolist()}; expected left, top, width, height in "
            "pixels, finite, with a width and height above 0"
        )
    clipped = clip_boxes(boxes, image)
    order = np.lexsort((clipped[:, 1], clipped[:, 0]))
    rows = order[(clipped[order, 2:] > 0).all(1)]
    return clipped[rows], rows


def _checked_scores(scores: Any, boxes: Any) -> Scores:
    given = np.asarray(scores)
    if given.dtype.kind != "f" or given.shape != (len(boxes),) or not np.isfinite(given).all():
        raise InputError(
            f"the detector gave scores {given.dtype} {list(given.shape)} for {len(boxes)} boxes; "
            "expected one finite number for each box, as float32 [n]"
        )
    return given.astype(np.float32)


def clip_boxes(boxes: Any, image: Image) -> Boxes:
    """Return boxes, [n, 4], rounded to whole pixels and clipped to the image, int32 [n, 4]."""
    height, width = image.shape[:2]
    edges = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    edges = np.rint(edges).clip(0, [width, height, width, height]).astype(np.int32)
    return np.hstack([edges[:, :2], edges[:, 2:] - edges[:, :2]])


def _as_numbers(found: Any) -> Any:
    try:
        boxes = np.asarray(found)
    except ValueError:  # rows of several lengths
        boxes = np.asarray(None)
    if boxes.size == 0:
        return np.empty((0, 4))
    if boxes.dtype.kind not in "iuf" or boxes.ndim != 2 or boxes.shape[1] != 4:
        got = f"{boxes.dtype} {list(boxes.shape)}" if boxes.dtype != object else type(found).__name__
        raise InputError(
            f"the detector gave {got}; expected boxes as numbers [n, 4]: left, top, width, height, "
            "and an array of 0 rows where there is no face"
        )
    return boxes.astype(np.float64)


def in_full_size(boxes: Any, small: Any, image: Image) -> Boxes:
    """Return boxes, [n, 4], of the shrunk image `small` as boxes of `image`; see `as_boxes`."""
    scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
    return as_boxes(boxes.reshape(-1, 4) * np.tile(scale, 2), image)
