"""Reads frames from a camera of this machine, through OpenCV."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any

from fer_engine.errors import ConfigError, FerError
from fer_engine.vision.library import opencv
from fer_engine.vision.video.frame import Frame, check_frame_size


def camera_frames(index: int, max_pixels: int) -> Generator[Frame, None, None]:
    """Yield the frames of a camera without end; their times count from the first one."""
    if index < 0:
        raise ConfigError(f"the index of a camera must not be negative, got {index}; the first one is 0")
    with _capture(index, max_pixels) as capture:
        start, count = None, 0
        while (image := _read_frame(capture)) is not None:
            now = time.monotonic()
            start = now if start is None else start
            yield Frame(f"camera {index}", count, (now - start) * 1000, image)
            count += 1
    raise FerError(f"camera {index} gave no image after {count} frames: check that it is still connected")


@contextlib.contextmanager
def _capture(index: int, max_pixels: int) -> Iterator[Any]:
    """Open a cv2.VideoCapture, and release it at the end.

    Raises:
        FerError: it cannot be opened, or its frames exceed `max_pixels`.
    """
    cv2, name = opencv(), f"camera {index}"
    capture = cv2.VideoCapture(index)
    try:
        if not capture.isOpened():
            raise FerError(
                f"{name} cannot be opened: check that it is connected, not in use, and permitted to you"
            )
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        check_frame_size(name, size, max_pixels)
        yield capture
    finally:
        capture.release()


def _read_frame(capture: Any) -> Any:
    cv2 = opencv()
    try:
        found, image = capture.read()
    except cv2.error:  # some of OpenCV's backends raise at the end, others return False
        return None
    return image if found else None
