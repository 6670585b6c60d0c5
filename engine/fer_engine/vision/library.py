"""The libraries of the extra `vision`, imported when they are needed."""

from __future__ import annotations

from typing import Any

from fer_engine.errors import ConfigError


def opencv() -> Any:
    """Return the module cv2.

    Raises:
        ConfigError: it is not installed, or a system library such as libGL is missing.
    """
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            f"images need OpenCV ({error}): pip install 'fer-engine[vision]', and on Debian "
            "apt-get install libgl1"
        ) from None
    return cv2


def pillow() -> Any:
    """Return the module PIL.Image, with all that reads a format registered.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(f"pictures need Pillow ({error}): pip install 'fer-engine[vision]'") from None
    Image.init()
    return Image
