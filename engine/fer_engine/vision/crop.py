"""The one crop: from a picture and boxes to the faces that a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, InputError
from fer_engine.vision.face import Boxes, Picture
from fer_engine.vision.library import opencv
from fer_engine.vision.picture import check_picture
from fer_engine.vision.resize import fit

# FER2013's faces are what a Haar cascade marks and hardly more; see benchmarks/studies/crop_margin.py.
MARGIN = 0.02
# The largest square, in shorter sides of the picture: a strip of a picture must not become a huge square.
LARGEST = 2


def crop_faces(picture: Picture, boxes: Boxes, spec: ModelSpec, margin: float = MARGIN) -> NDArray[np.uint8]:
    """Cut out faces as uint8 [n, *spec.face_shape], gray by ITU-R BT.601 or RGB, in the order of the boxes.

    Each is a square around its box's centre, whose side is the box's longer one with the margin on both
    sides, but at most twice the picture's shorter side. Where it leaves the picture the edge is repeated.
    It is resized by `fer_engine.vision.resize.resize`.

    Args:
        picture: uint8 [height, width, 3] in BGR.
        boxes: int32 [n, 4], left, top, width, height; each has a pixel in the picture, as `as_boxes` sees to.
        spec: Whose size and colours the faces get.
        margin: Added at each side, as a share of the box's longer side; below 0 it cuts into the box.

    Raises:
        InputError: the picture is none, or a box lies outside it.
        ConfigError: the margin is not above -0.5 and at most 1, or OpenCV is not installed.
    """
    check_picture(picture)
    if not -0.5 < margin <= 1:
        raise ConfigError(f"margin must be above -0.5 and at most 1, got {margin}")
    faces = np.empty((len(boxes), *spec.face_shape), np.uint8)
    for index, box in enumerate(boxes.tolist()):
        cut = opencv().cvtColor(square(picture, box, margin), opencv().COLOR_BGR2RGB)
        faces[index] = fit(cut[np.newaxis], spec)[0]
    return faces


def square(picture: Picture, box: Sequence[int], margin: float) -> Picture:
    """Return the square around a box of a picture, uint8 [h, w] or [h, w, 3]; see `crop_faces`.

    Raises:
        InputError: the box lies outside the picture.
    """
    height, width = picture.shape[:2]
    left, top, across, down = box
    side = min(max(1, round(max(across, down) * (1 + 2 * margin))), LARGEST * min(height, width))
    left += (across - side) // 2
    top += (down - side) // 2
    right, bottom = left + side, top + side
    seen = picture[max(top, 0) : bottom, max(left, 0) : right]
    if not seen.size:
        raise InputError(
            f"the box {box} has no pixel in the picture of {width}x{height}; pass it through as_boxes"
        )
    beyond = [max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)]
    return opencv().copyMakeBorder(seen, *beyond, opencv().BORDER_REPLICATE) if any(beyond) else seen
