"""Reads frames from a video file, a camera or an image file."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from fer_engine.errors import ConfigError, FerError
from fer_engine.vision.image import MAX_PIXELS, read_image
from fer_engine.vision.library import name_for_opencv, opencv
from fer_engine.vision.video.frame import Frame

# The number of frames that a container states may be estimated from duration and rate, or count frames that
# decoders do not show. Only more missing frames than this are a sign of a damaged file.
UNCERTAIN_FRAMES = 3
UNCERTAIN_SHARE = 0.01
RATE_FRAMES = 30  # the rate is measured from so many timestamps: a second of most videos
SAME_RATE = 0.1  # the measured rate may differ by this share: timestamps are rounded, and cameras jitter


def frames(source: str | Path | int, max_pixels: int = MAX_PIXELS) -> Generator[Frame, None, None]:
    """Yield the frames of a video file, an image file (one frame) or a camera (frames without end).

    The time of a video's frame is the container's timestamp. Where it is missing or not later than the one
    before, it is computed from the stated frame rate. The time of a camera's frame counts from its first
    frame. The video or camera is released when the iterator ends or is closed.

    Args:
        source: A file, which is recognized by its content and not by its name, or the index of a camera.
        max_pixels: Largest width x height of an image or frame; checked before anything is decoded.

    Raises:
        FerError: the file cannot be read or is neither an image nor a video; the video is cut short (after
            its frames up to there were yielded); the camera cannot be opened, or stops sending frames.
        ConfigError: the index of the camera is negative, or `max_pixels` is not positive.
    """
    if isinstance(source, int):
        return _camera_frames(source, max_pixels)
    return _file_frames(Path(source), max_pixels)


def frame_rate(path: str | Path, max_pixels: int = MAX_PIXELS) -> float:
    """Return the frames a second of a video file: the stated rate, or that of its timestamps if they differ.

    Raises:
        FerError: the file cannot be read, is not a video, states no rate, or has frames of more than
            `max_pixels`.
    """
    cv2 = opencv()
    path = Path(path)
    _check_file(path)
    with _capture(name_for_opencv(path), _not_a_video(path), max_pixels) as capture:
        stated = capture.get(cv2.CAP_PROP_FPS)
        if not 0 < stated < float("inf"):
            raise FerError(f"{path} states no frame rate: give the rate of the output yourself")
        stamps = [capture.get(cv2.CAP_PROP_POS_MSEC) for _ in range(RATE_FRAMES) if capture.grab()]
    steps = [later - stamp for stamp, later in itertools.pairwise(stamps)]
    if not steps or min(steps) <= 0:  # the timestamps are of no use
        return float(stated)
    # The mean, because timestamps may be rounded to milliseconds; only of steps near the median, because the
    # recording may have paused.
    usual = statistics.median(steps)
    near = [step for step in steps if step < 2 * usual]
    measured = 1000 / statistics.fmean(near)
    return float(stated) if abs(measured / stated - 1) < SAME_RATE else measured


def _file_frames(path: Path, max_pixels: int) -> Generator[Frame, None, None]:
    cv2 = opencv()
    _check_file(path)
    if cv2.haveImageReader(name_for_opencv(path)):  # checks the first bytes
        yield Frame(str(path), 0, 0.0, read_image(path, max_pixels=max_pixels))
    else:
        yield from _video_frames(path, max_pixels)


def _video_frames(path: Path, max_pixels: int) -> Iterator[Frame]:
    cv2 = opencv()
    with _capture(name_for_opencv(path), _not_a_video(path), max_pixels) as capture:
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))  # 0 or less where the container has none
        rate = capture.get(cv2.CAP_PROP_FPS) or 1.0
        index, time_ms = 0, 0.0
        while (image := _read_frame(capture)) is not None:
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC)
            if stamp > time_ms:
                time_ms = stamp
            elif index:
                time_ms += 1000 / rate
            yield Frame(str(path), index, time_ms, image)
            index += 1
    if index == 0:
        raise FerError(f"no frame of {path} can be decoded: it is damaged or empty, record it anew")
    expected = stated - max(UNCERTAIN_FRAMES, stated * UNCERTAIN_SHARE)
    # Where the frame rate varies, an estimated number of frames is wrong but the duration is right, so the
    # duration must be short too. The stated rate may be only the unit of the timestamps, so the last frame is
    # assumed to last as long as those before it.
    reached_ms = time_ms * (1 + UNCERTAIN_FRAMES / index)
    if index < expected and reached_ms < expected / rate * 1000:
        raise FerError(
            f"{path} breaks off at frame {index} of {stated}: what was decoded up to there is done; "
            "copy or record the file anew for the rest"
        )


def _camera_frames(index: int, max_pixels: int) -> Generator[Frame, None, None]:
    if index < 0:
        raise ConfigError(f"the index of a camera must not be negative, got {index}; the first one is 0")
    absent = f"camera {index} cannot be opened: check that it is connected, not in use, and permitted to you"
    with _capture(index, absent, max_pixels) as capture:
        start, count = None, 0
        while (image := _read_frame(capture)) is not None:
            now = time.monotonic()
            start = now if start is None else start
            yield Frame(f"camera {index}", count, (now - start) * 1000, image)
            count += 1
    raise FerError(f"camera {index} gave no image after {count} frames: check that it is still connected")


@contextlib.contextmanager
def _capture(source: str | int, failure: str, max_pixels: int) -> Iterator[Any]:
    """Open a cv2.VideoCapture, and release it at the end.

    Raises:
        FerError: it cannot be opened (the message is `failure`), or its frames exceed `max_pixels`.
    """
    cv2 = opencv()
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise FerError(failure)
        width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if (pixels := width * height) > max_pixels:
            raise FerError(
                f"{source} has frames of {width}x{height} = {pixels} pixels, expected at most {max_pixels}; "
                f"scale it down, or allow it with max_pixels={pixels} (of a command: --max-pixels {pixels})"
            )
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


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise FerError(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from error
    if empty:
        raise FerError(f"{path} is empty (0 bytes): copy or record it anew")


def _not_a_video(path: Path) -> str:
    return (
        f"{path} is neither an image nor a video that OpenCV can decode, or it is cut short: check it in a "
        "player, or convert it to MP4, AVI, JPEG or PNG"
    )
