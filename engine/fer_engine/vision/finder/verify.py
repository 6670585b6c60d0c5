"""The second stage of the finder: looks at each proposed box again, in full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.crop import square
from fer_engine.vision.library import opencv
from fer_engine.vision.resize import resize

SIDE = 40  # of the crop, in pixels
ROOM = 1.08  # the square's side, in longer sides of the box: a rim around the face tells faces from patches
WIDENED = 1.1  # faces are higher than wide: a box counts as so many times wider before the sides are compared
# Pixels of the image to one of the crop. Up to here bilinear samples leave no pixel out, and keep the
# fractions of a pixel that matter in a small face; above, areas are averaged.
SAMPLED_TO = 1.5


def verifier_crop(gray: NDArray[np.uint8], box: Sequence[float] | NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return what the verifier sees of a box: the square around it, uint8 [40, 40].

    The square has 1.08 times the height of the box, or 1.1 times its width where that is more. Where it
    leaves the image, the image's edge is repeated.

    Args:
        gray: The image in full resolution, uint8 [height, width].
        box: Left, top, width, height in pixels, with fractions; its centre must lie in the image.
    """
    left, top, width, height = (float(value) for value in box)
    side = ROOM * max(height, WIDENED * width)
    x, y = left + width / 2, top + height / 2
    if side > SAMPLED_TO * SIDE:
        around = [round(x - side / 2), round(y - side / 2), round(side), round(side)]
        return resize(square(gray, around, 0), SIDE, SIDE)
    cv2 = opencv()
    scale = side / SIDE
    middle = (SIDE - 1) / 2  # pixels are counted from the centre of the first one
    to_image = np.array([[scale, 0, x - 0.5 - middle * scale], [0, scale, y - 0.5 - middle * scale]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(gray, to_image, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
