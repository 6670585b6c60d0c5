"""Reads frames from a file, a stream or a camera, told by their content and not by their names."""

from __future__ import annotations

import contextlib
import io
import itertools
import statistics
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from fer_engine.errors import ConfigError, FerError
from fer_engine.vision.image import MAX_PIXELS, read_image
from fer_engine.vision.library import pillow
from fer_engine.vision.still.file import FORMATS, HEADER, is_heif
from fer_engine.vision.video.animation import animation_frames, animation_rate, open_animation
from fer_engine.vision.video.camera import camera_frames
from fer_engine.vision.video.container import ByteSource, VideoReader, opened, video_stream
from fer_engine.vision.video.display import shown_size, stored_shape
from fer_engine.vision.video.frame import Frame, check_frame_size
from fer_engine.vision.video.stream import is_url, stream_frames

RATE_FRAMES = 30  # the rate is measured from so many timestamps: a second of most videos
SAME_RATE = 0.1  # the measured rate may differ by this share: timestamps are rounded, and cameras jitter
# Motion JPEG without a container begins as a JPEG does, so the name has to tell it.
RAW_JPEG = {".mjpeg", ".mjpg"}


class Pipe:
    """A file without seek, such as standard input, whose first `HEADER` bytes are looked at."""

    def __init__(self, file: ByteSource) -> None:
        self._file = file
        self.header = b""
        while len(self.header) < HEADER and (piece := file.read(HEADER - len(self.header))):
            self.header += piece
        self._unread = self.header

    def read(self, size: int = -1, /) -> bytes:
        """Return some of the bytes that follow, at most `size`, or all with -1."""
        if size < 0:
            first, self._unread = self._unread, b""
            return first + self._file.read()
        if self._unread:
            first, self._unread = self._unread[:size], self._unread[size:]
            return first
        return self._file.read(size)

    def seekable(self) -> bool:
        return False


def frames(
    source: str | Path | int | ByteSource, max_pixels: int = MAX_PIXELS
) -> Generator[Frame, None, None]:
    """Yield the frames of a video, an animated image, an image (one frame), a stream or a camera.

    A frame is as a screen shows it: interlaced fields are joined, pixels are made square, and it is upright.
    The time of a video's frame is the container's timestamp. Where it is missing or not later than the one
    before, it is computed from the stated frame rate. The time of a camera's frame counts from its first
    frame. Frames that are damaged are left out. The source is released when the iterator ends or is closed.

    Args:
        source: A file, which is recognized by its content and not by its name; a URL (`rtsp://`, `http://`
            and others of `LIVE` and `FILMS` in `fer_engine.vision.video.stream`); an open binary file, which
            may be a pipe; or the index of a camera.
        max_pixels: Largest width x height of an image or frame; checked before anything is decoded.

    Raises:
        FerError: the source cannot be read or is neither an image nor a video; the video is cut short or
            frames of it are damaged (after all others were yielded); the camera or stream cannot be opened,
            or stops sending frames.
        ConfigError: the index of the camera is negative, `max_pixels` is not positive, or PyAV is missing.
    """
    if isinstance(source, int):
        return camera_frames(source, max_pixels)
    if isinstance(source, str) and is_url(source):
        return stream_frames(source, max_pixels)
    if isinstance(source, (str, Path)):
        return _path_frames(Path(source), max_pixels)
    return _file_frames(source, "standard input", max_pixels)


def frame_rate(path: str | Path, max_pixels: int = MAX_PIXELS) -> float:
    """Return the frames a second of a video file: the stated rate, or that of its timestamps if they differ.

    Raises:
        FerError: the file cannot be read, is not a video, states no rate, or has frames of more than
            `max_pixels`.
    """
    path = Path(path)
    with _open(path) as file:
        if (animation := open_animation(file)) is not None:
            check_frame_size(str(path), animation.size, max_pixels)
            return animation_rate(animation)
        with _opened(file, str(path)) as container:
            stream = video_stream(container, str(path))
            context = stream.codec_context
            size = shown_size(context.width, context.height, stored_shape(stream))
            check_frame_size(str(path), size, max_pixels)
            stated = stream.average_rate or stream.guessed_rate
            if not stated:
                raise FerError(f"{path} states no frame rate: give the rate of the output yourself")
            return _measured_rate(container, stream, float(stated))


def is_video(path: Path) -> bool:
    """Whether a file holds more than one image, as its content says: a video or an animation.

    Raises:
        FerError: it cannot be read.
    """
    with _open(path) as file:
        if _is_image(file.read(HEADER), path.name):
            return open_animation(file) is not None
        file.seek(0)
        with contextlib.suppress(FerError), _opened(file, str(path)) as container:
            return bool(video_stream(container, str(path)))
    return False


def starts_as_image(header: bytes) -> bool:
    """Whether the first `HEADER` bytes of a file are those of an image."""
    if is_heif(header):  # FFmpeg would take a tile of it for a video
        return True
    plugins = pillow().OPEN
    return any(plugins[form][1](header) for form in FORMATS if form in plugins)


def _path_frames(path: Path, max_pixels: int) -> Generator[Frame, None, None]:
    with _open(path) as file:
        yield from _file_frames(file, str(path), max_pixels)


def _file_frames(file: Any, name: str, max_pixels: int) -> Generator[Frame, None, None]:
    if max_pixels < 1:
        raise ConfigError(f"max_pixels must be at least 1, got {max_pixels}")
    if not file.seekable():
        file = file if isinstance(file, Pipe) else Pipe(file)
        if not _is_image(file.header, name):
            yield from _video_frames(file, name, max_pixels)
            return
        file = io.BytesIO(file.read())
    header = file.read(HEADER)
    file.seek(0)
    if not _is_image(header, name):
        yield from _video_frames(file, name, max_pixels)
    elif (animation := open_animation(file)) is not None:
        yield from animation_frames(animation, name, max_pixels)
    else:
        yield Frame(name, 0, 0.0, read_image(file.read(), name, max_pixels))


def _video_frames(file: ByteSource, name: str, max_pixels: int) -> Generator[Frame, None, None]:
    with _opened(file, name) as container:
        reader = VideoReader(container, name, max_pixels)
        yield from reader.frames()
        reader.check_whole()


def _is_image(header: bytes, name: str) -> bool:
    return starts_as_image(header) and not _is_raw_jpeg(name)


def _is_raw_jpeg(name: str) -> bool:
    return Path(name).suffix.lower() in RAW_JPEG


def _opened(file: ByteSource, name: str) -> contextlib.AbstractContextManager[Any]:
    advice = "check it in a player, or convert it to MP4, AVI, JPEG or PNG"
    if not file.seekable():
        advice = "through a pipe send MPEG-TS, Matroska or fragmented MP4, which need no jumps in the file"
    problem = f"{name} is neither an image nor a video that can be decoded, or it is cut short"
    return opened(file, problem, advice, "mjpeg" if _is_raw_jpeg(name) else None)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        raw = path.open("rb", buffering=0)  # of a pipe, what is there is read at once
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FerError(f"cannot read {path}: {reason}; check the path and its permissions") from error
    with raw:
        if not raw.seekable():
            yield raw
            return
        if not raw.read(1):
            raise FerError(f"{path} is empty (0 bytes): copy or record it anew")
        raw.seek(0)
        yield io.BufferedReader(raw)


def _measured_rate(container: Any, stream: Any, stated: float) -> float:
    stamps = sorted(
        float(packet.pts * packet.time_base)
        for packet in itertools.islice(container.demux(stream), RATE_FRAMES)
        if packet.pts is not None
    )
    steps = [later - stamp for stamp, later in itertools.pairwise(stamps)]
    if not steps or min(steps) <= 0:  # the timestamps are of no use
        return stated
    # The mean, because timestamps may be rounded to milliseconds; only of steps near the median, because the
    # recording may have paused, and frames of later packets may belong in between.
    usual = statistics.median(steps)
    measured = 1 / statistics.fmean(step for step in steps if step < 2 * usual)
    return stated if abs(measured / stated - 1) < SAME_RATE else measured
