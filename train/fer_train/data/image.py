"""One image file as an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError, ImageError
from fer_engine.vision.image import MAX_PIXELS
from fer_engine.vision.library import opencv
from fer_engine.vision.still.file import open_image

Image = NDArray[np.uint8]
SUFFIXES = (".png", ".jpg", ".jpeg")


def decode_image(file: Path, channels: int) -> Image:
    """Read an image as gray, uint8 [h, w], for 1 channel and as RGB, uint8 [h, w, 3], for 3.

    Raises:
        DataError: it is damaged, too large, or no image.
        ConfigError: OpenCV or Pillow is not installed.
        OSError: it cannot be read.
    """
    cv2 = opencv()
    content = file.read_bytes()
    try:
        with open_image(content, str(file), MAX_PIXELS):
            pass  # the header alone tells what must not be decoded
    except ImageError as error:
        raise DataError(f"{file}: cannot be decoded: {error}") from None
    # imdecode, not imread: the latter cannot open every path on Windows.
    form = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(content, np.uint8), form)
    if image is None:
        raise DataError(f"{file}: cannot be decoded; it is damaged or no image, get it again")
    return image if channels == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
