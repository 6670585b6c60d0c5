"""Cuts faces out of an image, as training, benchmarks and prediction all do it."""

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

# FER2013's faces are little larger than a Haar cascade's boxes; see benchmarks/studies/crop_margin.py.
MARGIN = 0.02
# The largest square, in shorter sides of the image: a box in a long, narrow image must not need a huge one.
LARGEST = 2


def crop_faces(image: Image, boxes: Boxes, spec: ModelSpec, margin: float = MARGIN) -> NDArray[np.uint8]:
    """Cut out faces as uint8 [n, *spec.face_shape], gray (ITU-R BT.601) or RGB, in the order of the boxes.

    Each face is a square around the centre of its box. The square's side is the longer side of the box plus
    the margin on both sides, at most twice the image's shorter side. Where the square leaves the image, the
    image's edge is repeated. The square is resized by `fer_engine.vision.resize.resize`.

    Args:
        image: uint8 [height, width, 3] in BGR.
        boxes: int32 [n, 4], left, top, width, height in pixels; each must overlap the image, which `as_boxes`
            ensures.
        spec: The model's spec, which says the size and channels of a face.
        margin: Added at each side, as a share of the box's longer side; a negative one cuts into the box.

    Raises:
        InputError: the image is no such array, or a box lies outside it.
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
