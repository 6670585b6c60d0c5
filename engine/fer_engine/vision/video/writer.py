"""Writes a video file, which appears complete or not at all."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import numpy as np

from fer_engine.artifact.files import temporary_beside, writing
from fer_engine.errors import ConfigError, FerError, InputError
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import pyav
from fer_engine.vision.video.sound import Sound, sound_of

# Encoders in the order of preference, with their settings, for each suffix. H.264 and VP9 play in browsers
# and on telephones. Which there are depends on how PyAV was built. Its wheels have libx264, which its authors
# give under the GPL; nothing of it is in this package.
ENCODERS: dict[str, dict[str, dict[str, str]]] = {
    ".mp4": {
        "libx264": {"preset": "veryfast", "crf": "20"},
        "libopenh264": {"rc_mode": "quality"},
        "h264_videotoolbox": {"q": "65"},
        "h264_mf": {"rate_control": "quality", "quality": "80"},
    },
    ".webm": {
        "libvpx-vp9": {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"},
        "libvpx": {"crf": "10", "b": "4M", "deadline": "realtime", "cpu-used": "8"},
    },
    ".avi": {"mjpeg": {"q": "3"}},
}
FORMATS = {".mp4": "mp4", ".webm": "webm", ".avi": "avi"}  # FFmpeg's names
# Units of a frame's time: the usual one of MP4, and the only one of WebM. AVI counts frames.
TIME_BASES = {".mp4": Fraction(1, 90_000), ".webm": Fraction(1, 1000)}
BT_601, LIMITED = 6, 1  # FFmpeg's numbers of how colours are stored (SMPTE 170M, 16 to 235)


def video_suffixes() -> tuple[str, ...]:
    """Return the suffixes of videos that this PyAV can write, the usual one first.

    Raises:
        ConfigError: PyAV is not installed.
    """
    return tuple(suffix for suffix in ENCODERS if _encoder(suffix) is not None)


def _encoder(suffix: str) -> str | None:
    codec = pyav().codec
    for name in ENCODERS[suffix]:
        with contextlib.suppress(codec.codec.UnknownCodecError):
            return str(codec.Codec(name, "w").name)
    return None


@final
class VideoWriter:
    """Writes images of one size as an .mp4 (H.264), .webm (VP9) or .avi (Motion JPEG) video.

    The frames go to a temporary file beside `path`. `close` finishes it and moves it to `path`. As a context
    manager it also closes on errors and Ctrl-C, so the video holds the frames up to there. If no frame was
    written there is no file. An odd last column or row of pixels is cut off.

    Args:
        path: The video, which is replaced if it exists; the suffix says the format.
        rate: Frames a second, where no times are given; the only rate of an .avi.
        sound: A video whose sound is taken over, up to the last frame; None for silence.

    Raises:
        ConfigError: the suffix is another, PyAV has no encoder for it, or `rate` is not a positive number.
    """

    def __init__(self, path: str | Path, rate: float, sound: Path | None = None) -> None:
        self.path = Path(path)
        self._suffix = self.path.suffix.lower()
        if self._suffix not in ENCODERS:
            raise ConfigError(f"a video is written as {', '.join(ENCODERS)}, got {self.path.name!r}")
        if not (rate > 0 and math.isfinite(rate)):
            raise ConfigError(f"the rate must be a positive number of frames a second, got {rate}")
        encoder = _encoder(self._suffix)
        if encoder is None:
            raise ConfigError(f"this PyAV cannot encode {self._suffix}: name the video {video_suffixes()[0]}")
        self._encoder = encoder
        self._rate = Fraction(rate).limit_denominator(100_000)
        self._time_base = TIME_BASES.get(self._suffix, 1 / self._rate)
        self._sound_source = sound
        self._sound: Sound | None = None
        self._size = (0, 0)
        self._count = 0
        self._last = -1  # time of the last frame, in units of the time base
        self._failed = False
        self._files = contextlib.ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._temporary: Path | None = None

    def write(self, image: Image, time_ms: float | None = None) -> None:
        """Append an image, uint8 [height, width, 3] in BGR.

        Args:
            image: The image.
            time_ms: When it is shown, in milliseconds from the start; None for the next time by the rate. Two
                frames that fall on one time, which in an .avi is the number of a frame, are one: the first.

        Raises:
            InputError: it is no such image, or has another size than the first.
            FerError: the file cannot be written; what was written is given up.
        """
        check_image(image)
        size = (image.shape[1], image.shape[0])
        if self._temporary is None:
            self._open(size)
        elif size != self._size:
            raise InputError(
                f"all frames of {self.path} must have one size: the first is "
                f"{self._size[0]}x{self._size[1]}, frame {self._count} is {size[0]}x{size[1]}; resize it"
            )
        seconds = self._count / self._rate if time_ms is None else Fraction(time_ms / 1000)
        stamp = round(seconds / self._time_base)
        self._count += 1
        if stamp <= self._last:
            return
        frame = pyav().VideoFrame.from_ndarray(_even(image), "bgr24")
        frame.pts, frame.time_base = stamp, self._time_base
        with self._writing():
            self._container.mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.write_until(float(seconds))
        self._last = stamp

    def close(self) -> None:
        """Finish the video and move it to `path`; a second call does nothing.

        Raises:
            FerError: the end cannot be written (a full disk); an existing file is left unchanged.
        """
        if self._temporary is None:
            return
        try:
            with self._writing():
                if not self._failed:
                    self._finish()
            if not self._failed:
                with writing(self.path):
                    os.replace(self._temporary, self.path)
        finally:
            if self._failed:  # ends the encoder, whose last bytes nobody wants
                with contextlib.suppress(Exception):
                    self._container.close()
            self._files.close()
            with contextlib.suppress(OSError):  # it was moved to `path`
                self._temporary.unlink()
            self._temporary = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, size: tuple[int, int]) -> None:
        if min(size) < 2:
            raise FerError(f"cannot encode {size[0]}x{size[1]} as {self._suffix}: a video has 2x2 or more")
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = temporary_beside(self.path, self._suffix)
            # PyAV gets the file and not its name, which may be any.
            file = self._files.enter_context(self._temporary.open("xb"))
            self._container = pyav().open(file, "w", format=FORMATS[self._suffix])
            options = ENCODERS[self._suffix][self._encoder]
            self._stream = self._container.add_stream(self._encoder, rate=self._rate, options=options)
            self._stream.width, self._stream.height = (side // 2 * 2 for side in size)
            self._stream.pix_fmt = "yuvj420p" if self._encoder == "mjpeg" else "yuv420p"
            context = self._stream.codec_context
            context.time_base = self._time_base
            if self._encoder != "mjpeg":
                context.colorspace, context.color_range = BT_601, LIMITED
            source = self._files.enter_context(sound_of(self._sound_source))
            self._sound = None if source is None else Sound(source, self._container, self._suffix)
        self._size = size

    def _finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.write_until(float(self._last * self._time_base + 1 / self._rate))
            self._sound.finish()
        self._container.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Give the video up where it cannot be written, with an error that says why."""
        try:
            with writing(self.path):
                yield
        except pyav().FFmpegError as error:
            self._failed = True
            advice = f"name it {video_suffixes()[-1]}"
            raise FerError(
                f"cannot encode {self.path} with {self._encoder}: {error.strerror}; {advice}"
            ) from error
        except BaseException as error:
            # An interrupted one is whole: Python sees Ctrl-C between the calls that write.
            self._failed = not isinstance(error, KeyboardInterrupt)
            raise


def _even(image: Image) -> Image:
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])
