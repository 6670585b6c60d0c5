"""One image file as an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError
from fer_engine.vision.library import opencv

Image = NDArray[np.uint8]
SUFFIXES = (".png", ".jpg", ".jpeg")


def decode_image(file: Path, channels: int) -> Image:
    """Read an image as gray, uint8 [h, w], for 1 channel and as RGB, uint8 [h, w, 3], for 3.

    Raises:
        DataError: it is damaged, or no image.
        ConfigError: OpenCV is not installed.
        OSError: it cannot be read.
    """
    cv2 = opencv()
    content = np.frombuffer(file.read_bytes(), np.uint8)
    # imdecode, not imread: the latter cannot open every path on Windows.
    form = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    image = cv2.imdecode(content, form) if len(content) else None
    if image is None:
        raise DataError(f"{file}: cannot be decoded; it is damaged or no image, get it again")
    return image if channels == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
