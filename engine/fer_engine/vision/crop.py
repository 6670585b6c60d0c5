"""The one crop: from an image and boxes to the faces that a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, InputError
from fer_engine.vision.face import Boxes
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import opencv
from fer_engine.vision.resize import fit

# FER2013's faces are what a Haar cascade marks and hardly more; see benchmarks/studies/crop_margin.py.
MARGIN = 0.02
# The largest square, in shorter sides of the image: a strip of an image must not become a huge square.
LARGEST = 2


def crop_faces(image: Image, boxes: Boxes, spec: ModelSpec, margin: float = MARGIN) -> NDArray[np.uint8]:
    """Cut out faces as uint8 [n, *spec.face_shape], gray by ITU-R BT.601 or RGB, in the order of the boxes.

    Each is a square around its box's centre, whose side is the box's longer one with the margin on both
    sides, but at most twice the image's shorter side. Where it leaves the image the edge is repeated.
    It is resized by `fer_engine.vision.resize.resize`.

    Args:
        image: uint8 [height, width, 3] in BGR.
        boxes: int32 [n, 4], left, top, width, height; each has a pixel in the image, as `as_boxes` sees to.
        spec: Whose size and colours the faces get.
        margin: Added at each side, as a share of the box's longer side; below 0 it cuts into the box.

    Raises:
        InputError: the image is none, or a box lies outside it.
        ConfigError: the margin is not above -0.5 and at most 1, or OpenCV is not installed.
    """
    check_image(image)
    if not -0.5 < margin <= 1:
        raise ConfigError(f"margin must be above -0.5 and at most 1, got {margin}")
    faces = np.empty((len(boxes), *spec.face_shape), np.uint8)
    for index, box in enumerate(boxes.tolist()):
        cut = opencv().cvtColor(square(image, box, margin), opencv().COLOR_BGR2RGB)
        faces[index] = fit(cut[np.newaxis], spec)[0]
    return faces


def square(image: Image, box: Sequence[int], margin: float) -> Image:
    """Return the square around a box of an image, uint8 [h, w] or [h, w, 3]; see `crop_faces`.

    Raises:
        InputError: the box lies outside the image.
    """
    height, width = image.shape[:2]
    left, top, across, down = box
    side = min(max(1, round(max(across, down) * (1 + 2 * margin))), LARGEST * min(height, width))
    left += (across - side) // 2
    top += (down - side) // 2
    right, bottom = left + side, top + side
    seen = image[max(top, 0) : bottom, max(left, 0) : right]
    if not seen.size:
        raise InputError(
            f"the box {box} has no pixel in the image of {width}x{height}; pass it through as_boxes"
        )
    beyond = [max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)]
    return opencv().copyMakeBorder(seen, *beyond, opencv().BORDER_REPLICATE) if any(beyond) else seen
