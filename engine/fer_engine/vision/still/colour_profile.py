"""Colour profiles (ICC): converts images to sRGB, which networks were trained on, with LittleCMS."""

from __future__ import annotations

import functools
import io
import itertools
from typing import Any, Final

import numpy as np

from fer_engine.vision.library import opencv, pillow

# The modes of Pillow whose pixels a profile of each colour space can stand for.
MODES: Final = {"GRAY": "L", "CMYK": "CMYK", "LAB": "LAB", "RGB": "RGB"}
# Most profiles are sRGB under one of many names. One that changes no colour by more than so many gray levels
# is not applied.
SAME = 2
STRIP = 128  # rows that are converted at once, which stay in the cache of the processor


class UnusableProfileError(Exception):
    """A profile is damaged or of a rare kind, or this Pillow has no LittleCMS."""


def colour_space(profile: bytes) -> str:
    """Return the colour space of a profile, a key of MODES.

    Raises:
        UnusableProfileError: it cannot be used.
    """
    return _transform(profile)[0]


def changes_colours(profile: bytes) -> bool:
    """Whether a profile that can be used is another than sRGB."""
    return _transform(profile)[1] is not None


def image_to_srgb(image: Any, profile: bytes) -> Any:
    """Return an image of Pillow in the mode RGB; it must be in the mode of the profile's colour space."""
    from PIL import ImageCms

    return ImageCms.applyTransform(image, _transform(profile)[1])


def pixels_to_srgb(pixels: Any, profile: bytes) -> Any:
    """Return BGR pixels, uint8 [height, width, 3], of an RGB profile in sRGB."""
    from PIL import ImageCms

    cv2, transform = opencv(), _transform(profile)[1]
    if transform is None:
        return pixels
    converted = np.empty_like(pixels)
    for start in range(0, len(pixels), STRIP):
        strip = pillow().fromarray(cv2.cvtColor(pixels[start : start + STRIP], cv2.COLOR_BGR2RGB))
        ImageCms.applyTransform(strip, transform, inPlace=True)
        cv2.cvtColor(np.asarray(strip), cv2.COLOR_RGB2BGR, dst=converted[start : start + STRIP])
    return converted


@functools.lru_cache(maxsize=16)  # the photographs of a folder mostly share one profile
def _transform(profile: bytes) -> tuple[str, Any]:
    """Return a profile's colour space and its transform to sRGB, None if that changes nothing."""
    from PIL import ImageCms

    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip().upper()
        if space not in MODES:
            raise UnusableProfileError(
                f"it is of the colour space {space}, expected one of {', '.join(MODES)}"
            )
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(opened, srgb, MODES[space], "RGB")
    except (ImportError, OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
        raise UnusableProfileError(str(error) or "it is damaged") from error
    return space, None if space == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: Any) -> bool:
    from PIL import ImageCms

    levels = range(0, 256, 15)
    colours = np.array([list(itertools.product(levels, repeat=3))], np.uint8)
    converted = np.asarray(ImageCms.applyTransform(pillow().fromarray(colours), transform))
    return bool(np.abs(converted.astype(int) - colours).max() <= SAME)
