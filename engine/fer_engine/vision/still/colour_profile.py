"""Colour profiles (ICC): converts images to sRGB, which networks were trained on, with LittleCMS."""

from __future__ import annotations

import functools
import io
import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.library import opencv, pillow
from fer_engine.vision.still.matrix_profile import MatrixProfile, read_matrix_profile

Pixels = NDArray[np.uint8]

# The modes of Pillow whose pixels a profile of each colour space can stand for.
MODES: Final = {"GRAY": "L", "CMYK": "CMYK", "LAB": "LAB", "RGB": "RGB"}
# Colours that differ by so many gray levels are the same, since both are rounded. Most profiles are sRGB by
# one of many names: they change no colour, and are not applied.
SAME = 2
NO_CACHE: Any = 0x40  # LittleCMS's flag: threads share a transform, and photographs repeat few pixels
STRIP = 32  # rows that are converted at once, which stay in the cache of the processor


class UnusableProfileError(Exception):
    """A profile is damaged or of a rare kind, or this Pillow has no LittleCMS."""


@dataclass(frozen=True, slots=True)
class _Conversion:
    """The way from a profile to sRGB: LittleCMS's transform, and a quicker one with the same results."""

    space: str
    transform: Any
    changes_colours: bool
    matrix: MatrixProfile | None


def colour_space(profile: bytes) -> str:
    """Return the colour space of a profile, a key of MODES.

    Raises:
        UnusableProfileError: it cannot be used.
    """
    return _conversion(profile).space


def changes_colours(profile: bytes) -> bool:
    """Whether a profile that can be used is another than sRGB."""
    return _conversion(profile).changes_colours


def image_to_srgb(image: Any, profile: bytes) -> Any:
    """Return an image of Pillow in the mode RGB; it must be in the mode of the profile's colour space."""
    from PIL import ImageCms

    return ImageCms.applyTransform(image, _conversion(profile).transform)


def pixels_to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """Return BGR pixels, uint8 [height, width, 3], of an RGB profile in sRGB."""
    conversion = _conversion(profile)
    if not conversion.changes_colours:
        return pixels
    converted = np.empty_like(pixels)
    for start in range(0, len(pixels), STRIP):
        strip = pixels[start : start + STRIP]
        if conversion.matrix is not None:
            converted[start : start + STRIP] = conversion.matrix.to_srgb(strip)
        else:
            converted[start : start + STRIP] = _apply(conversion.transform, strip)
    return converted


def _apply(transform: Any, pixels: Pixels) -> Pixels:
    """Convert BGR pixels with LittleCMS."""
    from PIL import ImageCms

    cv2 = opencv()
    image = pillow().fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    ImageCms.applyTransform(image, transform, inPlace=True)
    return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)


@functools.lru_cache(maxsize=16)  # the photographs of a folder mostly share one profile
def _conversion(profile: bytes) -> _Conversion:
    from PIL import ImageCms

    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip().upper()
        if space not in MODES:
            raise UnusableProfileError(f"its colour space is {space}, expected one of {', '.join(MODES)}")
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(opened, srgb, MODES[space], "RGB", flags=NO_CACHE)
    except (ImportError, OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
        raise UnusableProfileError(str(error) or "it is damaged") from error
    if space != "RGB":
        return _Conversion(space, transform, True, None)
    colours = np.array([list(itertools.product(range(0, 256, 15), repeat=3))], np.uint8)
    expected = _apply(transform, colours)
    matrix = read_matrix_profile(profile)
    if matrix is not None and not _alike(matrix.to_srgb(colours), expected):
        matrix = None
    return _Conversion(space, transform, not _alike(colours, expected), matrix)


def _alike(one: Pixels, other: Pixels) -> bool:
    return bool(np.abs(one.astype(int) - other).max() <= SAME)
