"""The annotated copy of a still image, which keeps the original's EXIF, colour profile and transparency."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_engine.errors import FerError, ImageError, first_line

if TYPE_CHECKING:
    from fer_engine.vision.image import Image

LOG = logging.getLogger(__name__)

# Formats in which every OpenCV can write colour.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".tif", ".tiff")
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe")
RUN_LENGTHS = 3  # a strategy of zlib, which is fast
# Pillow's name and options of the formats that keep metadata. JPEG has the quality of OpenCV's default, the
# others are lossless.
Encoding = tuple[str, dict[str, Any]]
ENCODINGS: dict[str, Encoding] = {
    **dict.fromkeys(JPEG_SUFFIXES, ("JPEG", {"quality": 95})),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF", {"compression": "tiff_lzw"})),
    ".png": ("PNG", {"compress_level": 1, "compress_type": RUN_LENGTHS}),
    ".webp": ("WEBP", {"lossless": True, "exact": True, "method": 0, "quality": 0}),
}


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a copy keeps of its original.

    `pixels`, uint8 [height, width, 3 or 4] in BGR or BGRA, are the original's where these are other than
    those that were read: in another colour profile, or transparent.
    """

    exif: bytes | None = None
    profile: bytes | None = None
    pixels: Any = None


def encode_copy(source: Path | bytes, name: str, image: Image, annotated: Image, path: Path) -> bytes:
    """Return the annotated copy of an image, encoded in the format that the suffix of `path` says.

    Where nothing was drawn, the pixels are those of the original, in its colour profile. BMP keeps nothing
    else, and JPEG no transparency: the image is laid on white. EXIF says that the copy is upright.

    Args:
        source: The original, a file or its bytes.
        name: The original's name in warnings.
        image: The original as it was read, uint8 [height, width, 3] in BGR.
        annotated: The same with what was drawn on it.
        path: The path of the copy, which is not written here.

    Raises:
        FerError: the format cannot hold the image.
    """
    import cv2

    suffix = path.suffix.lower()
    kept = _read_kept(source, name, image, suffix) if suffix in ENCODINGS else _Kept()
    try:
        if kept.exif is None and kept.profile is None and kept.pixels is None:
            return _encode_plain(annotated, suffix)
        pixels = annotated if kept.pixels is None else _drawn_on(kept.pixels, image, annotated)
        return _encode(pixels, kept, name, suffix)
    except (ValueError, OSError, cv2.error) as error:
        height, width = image.shape[:2]
        raise FerError(
            f"cannot encode {path}: {width}x{height} is more than its format holds ({first_line(error)}); "
            "name it .png with --output"
        ) from error


def _read_kept(source: Path | bytes, name: str, image: Image, suffix: str) -> _Kept:
    """Read the original once more; if that fails, nothing is kept, with a warning."""
    try:
        return _read(source, image, suffix)
    except ImageError as error:
        LOG.warning("the copy of %s keeps no EXIF, colour profile or transparency: %s", name, error)
        return _Kept()


def _read(source: Path | bytes, image: Image, suffix: str) -> _Kept:
    import numpy as np

    from fer_engine.vision.still import colour_profile, exif
    from fer_engine.vision.still.decode import decode, profile_space
    from fer_engine.vision.still.file import open_image

    if isinstance(source, Path) and not source.is_file():
        raise ImageError("it is a pipe, which cannot be read twice")
    height, width = image.shape[:2]
    with open_image(source, None, height * width) as file:
        block = exif.upright_block(file.opened)
        profile = file.profile if profile_space(file)[0] == "RGB" else None
        other_colours = profile is not None and colour_profile.changes_colours(profile)
        if file.has_alpha and suffix in JPEG_SUFFIXES:  # what lies on white is sRGB
            return _Kept(block, None if other_colours else profile)
        if not file.has_alpha and not other_colours:
            return _Kept(block, profile)
        decoded = decode(file)
    if decoded.colour.shape != image.shape:
        raise ImageError("it was replaced in the meantime")
    if decoded.alpha is None:
        return _Kept(block, profile, decoded.colour)
    return _Kept(block, profile, np.dstack([decoded.colour, decoded.alpha]))


def _drawn_on(pixels: Any, image: Image, annotated: Image) -> Any:
    """Return pixels of the original with what was drawn on the image, opaque."""
    drawn = (annotated != image).any(axis=2)
    pixels[drawn, :3] = annotated[drawn]
    pixels[drawn, 3:] = 255
    return pixels


def _encode_plain(image: Image, suffix: str) -> bytes:
    import cv2

    done, content = cv2.imencode(suffix, image)
    if not done:
        raise ValueError("OpenCV cannot encode it")
    return content.tobytes()


def _encode(pixels: Any, kept: _Kept, name: str, suffix: str) -> bytes:
    import cv2

    from fer_engine.vision.library import pillow
    from fer_engine.vision.still.exif import DAMAGED

    conversion = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    image = pillow().fromarray(cv2.cvtColor(pixels, conversion))
    form, options = ENCODINGS[suffix]
    if kept.profile is not None:
        options = {**options, "icc_profile": kept.profile}
    if kept.exif is not None:
        try:
            return _saved(image, form, {**options, "exif": kept.exif})
        except DAMAGED as error:  # it is too long for a JPEG, or Pillow cannot write it as TIFF
            LOG.warning("the copy of %s keeps no EXIF: %s", name, first_line(error))
    return _saved(image, form, options)


def _saved(image: Any, form: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
