"""Reads images from files and bytes."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError, FerError, ImageError, ImageSizeError, InputError, first_line
from fer_engine.vision.library import opencv, pillow

Image = NDArray[np.uint8]  # [height, width, 3], blue first, as OpenCV has it

# A few kilobytes can claim to be an image of any size. 64 million pixels are enough for a camera of 50
# megapixels, and take about 1 GB while they are decoded.
MAX_PIXELS = 64_000_000
# Pillow's names. Its other formats are rare, or start other programs, as EPS does.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
HEADER = 16  # bytes that identify a format


def read_image(source: Path | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Image:
    """Return an image, uint8 [height, width, 3] in BGR, turned upright by its EXIF orientation.

    Gray and palette images become colour. CMYK is converted without a profile. Of 16 bits the upper 8 are
    kept. Transparent images are laid on white. Of an animation the first frame is taken. Colour profiles
    (ICC) are not applied; OpenCV, which reads the images for training, does not apply them either.

    Args:
        source: A file or its bytes; the format is recognized by the content, not by the suffix.
        name: The image's name in errors; None for the path.
        max_pixels: Largest width x height; it is checked against the header before anything is decoded.

    Raises:
        ImageError: the file cannot be read, is no image, or is damaged.
        ImageSizeError: the image has more than `max_pixels` pixels.
        ConfigError: `max_pixels` is not positive, or OpenCV or Pillow is not installed.
    """
    if max_pixels < 1:
        raise ConfigError(f"max_pixels must be at least 1, got {max_pixels}")
    if isinstance(source, bytes):
        return _read_file(io.BytesIO(source), name or "the image", max_pixels)
    name = name or str(source)
    try:
        file = source.open("rb")
    except (OSError, ValueError) as error:
        reason = "it is a folder" if source.is_dir() else getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot read {name}: {reason}; check the path and its permissions") from error
    with file:
        return _read_file(file, name, max_pixels)


def check_image(image: Any) -> Image:
    """Return `image` unchanged if it is a non-empty array, uint8 [height, width, 3].

    Raises:
        InputError: it is anything else.
    """
    fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
    if fits and image.shape[2] == 3 and image.size:
        return image
    got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
    raise InputError(
        f"an image must be uint8 [height, width, 3] in BGR, got {got}; "
        "read it with fer_engine.vision.read_image, or convert it with cv2.cvtColor"
    )


def _read_file(file: IO[bytes], name: str, max_pixels: int) -> Image:
    try:
        if not file.seekable():  # a pipe
            file = io.BytesIO(file.read())
        opened = _open_header(file, name)
        _check_size(opened, name, max_pixels)
        return _decode(opened, name)
    except FerError:
        raise
    except Exception as error:  # on damaged bytes, Pillow's decoders raise exceptions of any type
        raise ImageError(
            f"{name} cannot be decoded: {first_line(error)}; it is damaged, get it again"
        ) from error


def _open_header(file: IO[bytes], name: str) -> Any:
    """Read only the header, as PIL's Image.open does, but without its global limit of the size."""
    plugins = pillow().OPEN
    header = file.read(HEADER)
    if not header:
        raise ImageError(f"{name} is empty, 0 bytes; get it again")
    for form in filter(plugins.__contains__, FORMATS):
        factory, accepts = plugins[form]
        accepted = accepts(header)
        if not accepted or isinstance(accepted, str):  # a text: this Pillow was built without the decoder
            continue
        file.seek(0)
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):  # not of this format
            return factory(file, "")
    raise ImageError(
        f"{name} is no image of a known format, its header is damaged, or this Pillow lacks the decoder: "
        f"expected one of {', '.join(FORMATS)}; convert it to PNG"
    )


def _check_size(opened: Any, name: str, max_pixels: int) -> None:
    pixels = opened.width * opened.height
    if pixels > max_pixels:
        raise ImageSizeError(
            f"{name} has {opened.width}x{opened.height} = {pixels} pixels, expected at most {max_pixels}; "
            f"make it smaller, or allow it with max_pixels={pixels} (of a command: --max-pixels {pixels})",
            pixels,
        )


def _decode(opened: Any, name: str) -> Image:
    from PIL import ImageOps

    cv2 = opencv()
    ImageOps.exif_transpose(opened, in_place=True)
    if opened.mode.startswith("I;16") or (opened.mode == "I" and opened.format in {"PNG", "PPM"}):
        return cv2.cvtColor((np.asarray(opened) >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    if opened.mode in {"I", "F"}:
        raise ImageError(
            f"{name} has 32-bit pixels, whose black and white are not known; save it with 8 or 16 bits"
        )
    if opened.has_transparency_data:
        white = pillow().new("RGBA", opened.size, "white")
        opened = pillow().alpha_composite(white, opened.convert("RGBA"))
    return cv2.cvtColor(np.asarray(opened.convert("RGB")), cv2.COLOR_RGB2BGR)
