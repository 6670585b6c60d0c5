"""Writes a video file, which appears complete or not at all."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any, final

from fer_engine.artifact.files import temporary_beside, writing
from fer_engine.errors import ConfigError, InputError
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import name_for_opencv, opencv

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


@final
class VideoWriter:
    """Writes images of one size as an .mp4 (MPEG-4) or .avi (Motion JPEG) video, without sound.

    The frames go to a temporary file beside `path`. `close` checks that it can be read back, then moves it to
    `path`. As a context manager it also closes on errors and Ctrl-C, so the video holds the frames up to
    there. If no frame was written there is no file. An odd last column or row of pixels is cut off.

    Args:
        path: The video, which is replaced if it exists; the suffix says the format.
        rate: Frames a second.

    Raises:
        ConfigError: the suffix is another, the name is not UTF-8, or `rate` is not a positive number.
    """

    def __init__(self, path: str | Path, rate: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in CODECS:
            raise ConfigError(f"a video is written as {' or '.join(CODECS)}, got {self.path.name!r}")
        name_for_opencv(self.path)
        if not (rate > 0 and math.isfinite(rate)):
            raise ConfigError(f"the rate must be a positive number of frames a second, got {rate}")
        self._rate = float(rate)
        self._size = (0, 0)
        self._count = 0
        self._writer: Any = None
        self._temporary: Path | None = None

    def write(self, image: Image) -> None:
        """Append an image, uint8 [height, width, 3] in BGR.

        Raises:
            InputError: it is no such image, or has another size than the first.
            FerError: the file cannot be written.
        """
        check_image(image)
        size = (image.shape[1], image.shape[0])
        if self._writer is None:
            self._open(size)
        elif size != self._size:  # OpenCV would drop such a frame silently
            raise InputError(
                f"all frames of {self.path} must have one size: the first is "
                f"{self._size[0]}x{self._size[1]}, frame {self._count} is {size[0]}x{size[1]}; resize it"
            )
        self._writer.write(image)
        self._count += 1

    def close(self) -> None:
        """Finish the video and move it to `path`; a second call does nothing.

        Raises:
            FerError: the frames cannot be read back (a full disk); an existing file is left unchanged.
        """
        if self._writer is None or self._temporary is None:
            return
        writer, self._writer = self._writer, None
        writer.release()
        try:
            with writing(self.path):
                _check_video(self._temporary, self._count)
                os.replace(self._temporary, self.path)
        finally:
            self._remove_temporary()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, size: tuple[int, int]) -> None:
        cv2 = opencv()
        suffix = self.path.suffix.lower()
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = temporary_beside(self.path, suffix)
            temporary.touch(exist_ok=False)
            self._temporary = temporary
            codec = cv2.VideoWriter.fourcc(*CODECS[suffix])
            writer = cv2.VideoWriter(str(temporary), codec, self._rate, size)
            if not writer.isOpened():
                self._remove_temporary()
                given = f"{size[0]}x{size[1]} at {self._rate:g} frames/s as {suffix}"
                raise OSError(f"OpenCV cannot encode {given}")
        self._writer, self._size = writer, size

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            with contextlib.suppress(OSError):  # it was moved to `path`
                self._temporary.unlink()
            self._temporary = None


def _check_video(written: Path, count: int) -> None:
    """Read a video back, because OpenCV's writer does not report errors.

    Raises:
        OSError: it has fewer than `count` frames.
    """
    cv2 = opencv()
    capture = cv2.VideoCapture(str(written))
    try:
        held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
        # Ctrl-C may come after a frame is written and before it is counted, so one more is no error.
        if held < count or not capture.read()[0]:
            raise OSError(f"{count} frames were written, {held} can be read back")
    finally:
        capture.release()
