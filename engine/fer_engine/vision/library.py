"""OpenCV, Pillow and PyAV, the libraries of the extra `vision`: imported when they are needed."""

from __future__ import annotations

from pathlib import Path
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


def name_for_opencv(path: Path) -> str:
    """Return a path as a text for OpenCV: absolute, because FFmpeg reads a name such as `a:b.mp4` as a URL.

    Raises:
        ConfigError: the name is not UTF-8, which would make OpenCV abort the process.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise ConfigError(f"OpenCV opens no file whose name is not UTF-8, got {shown}; rename it") from None
    return name


def pillow() -> Any:
    """Return the module PIL.Image with the readers of all image formats registered.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(f"images need Pillow ({error}): pip install 'fer-engine[vision]'") from None
    Image.init()
    return Image


def pyav() -> Any:
    """Return the module av.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(f"videos need PyAV ({error}): pip install 'fer-engine[vision]'") from None
    return av
