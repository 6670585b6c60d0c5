"""Pixels of more than 8 bits: what is white in them, and how they become uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ImageError
from fer_engine.vision.library import opencv

# Cameras and scanners store 10, 12 or 14 bits in 16 without scaling them, and no field of the file says so.
BIT_DEPTHS = (8, 10, 12, 14, 16)
# Sharpening and resizing leave values a little outside of floating-point images' 0..1.
OVERSHOOT = 0.1
# A floating-point image whose largest value lies between 1 and this has no known white: were it 255, the
# image would be black.
DARKEST_WHITE = 16
STRIP = 128  # rows that are converted at once, which saves memory
COLOUR_MODES = {"RGB", "RGBA", "RGBX", "LA"}


def is_deep_colour(opened: Any) -> bool:
    """Whether an image that Pillow opened, but did not decode, has colour of 16 bits: Pillow gives 8."""
    layouts = (tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in opened.tile if tile[3])
    return opened.mode in COLOUR_MODES and any(";16" in str(layout) for layout in layouts)


def decode_deep(content: bytes, name: str) -> NDArray[Any]:
    """Decode an image with OpenCV in its own bit depth, [height, width(, channels)] in gray, BGR or BGRA.

    Raises:
        ImageError: OpenCV cannot decode it.
    """
    cv2 = opencv()
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError(
            f"{name} has pixels that cannot be decoded: it is damaged, or of a rare kind; save it as PNG"
        )
    return pixels


def as_8_bits(pixels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return pixels of any type and shape as uint8.

    The file does not say which value is white, so the largest value of all pixels tells. White of integers is
    the largest number of so many bits as hold that value, 8, 10, 12, 14 or 16; the upper 8 of them are kept.
    White of floating-point numbers is 1, or else as with integers. NaN becomes black.

    Raises:
        ImageError: no white fits the values.
    """
    if pixels.dtype == np.uint8 or not pixels.size:
        return pixels.astype(np.uint8)
    finite = np.isfinite(pixels)
    top, low = (float(find(pixels, where=finite, initial=0)) for find in (np.max, np.min))
    is_float = pixels.dtype.kind == "f"
    if is_float and top <= 1 + OVERSHOOT:
        white = 1
    else:
        bits = next((bits for bits in BIT_DEPTHS if top < 2**bits), None)
        if bits is None or (is_float and top < DARKEST_WHITE):
            raise _unknown(name, low, top)
        white = 2**bits - 1
    if low < (-OVERSHOOT * white if is_float else 0):
        raise _unknown(name, low, top)
    if not is_float:
        return (pixels >> (white.bit_length() - 8)).astype(np.uint8)
    rounded = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), STRIP):
        strip = np.nan_to_num(pixels[start : start + STRIP], nan=0, posinf=white, neginf=0)
        rounded[start : start + STRIP] = np.rint((strip * (255 / white)).clip(0, 255))
    return rounded


def _unknown(name: str, low: float, top: float) -> ImageError:
    return ImageError(
        f"{name} has pixels from {low:g} to {top:g}, and which value is white is not known: expected 0 to 1, "
        "255, 1023, 4095, 16383 or 65535; save it with 8 or 16 bits"
    )
