"""Images: how they lie in memory, and reading them from files and bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError, InputError
from fer_engine.vision.still.decode import decode
from fer_engine.vision.still.file import open_image

Image = NDArray[np.uint8]  # [height, width, 3], blue first, as OpenCV has it

# A few kilobytes can claim to be an image of any size. 64 million pixels are enough for a camera of 50
# megapixels, and take about 1 GB while they are decoded.
MAX_PIXELS = 64_000_000


def read_image(source: Path | str | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Image:
    """Return an image, uint8 [height, width, 3] in BGR, turned upright by its EXIF orientation, in sRGB.

    Gray and palette images become colour. Colour profiles (ICC) are applied; CMYK without one is converted
    by a simple formula. Of more than 8 bits the upper 8 are kept. The largest value of the image tells how
    many bits there are, because no field of the file does: 12 bits may lie in 16, and floating-point numbers
    may end at 1, at 255 or at 65535. Transparent images are laid on white. Of an animation the first frame is
    taken. HEIC and HEIF need the extra `heif`.

    Metadata that is damaged or unusual is passed over, as in browsers. A colour profile that cannot be used,
    and a JPEG that lacks its end marker but no pixels, are logged as warnings.

    Args:
        source: A file or its bytes; the format is recognized by the content, not by the suffix.
        name: The image's name in errors; None for the path.
        max_pixels: Largest width x height; it is checked against the header before anything is decoded.

    Raises:
        ImageError: the file cannot be read, is no image, or is damaged; or its format needs a library that
            is not installed.
        ImageSizeError: the image has more than `max_pixels` pixels.
        ConfigError: `max_pixels` is not positive, or OpenCV or Pillow is not installed.
    """
    if max_pixels < 1:
        raise ConfigError(f"max_pixels must be at least 1, got {max_pixels}")
    source = Path(source) if isinstance(source, str) else source
    with open_image(source, name, max_pixels) as image:
        return decode(image).on_white()


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
