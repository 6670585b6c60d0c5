"""Frames of a video file, a camera or an image file, one after another."""

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

# Containers without an index give a number of frames worked out from duration and rate, and many with one
# count frames that no decoder shows: fewer missing frames than this are no sign of a damaged file.
UNCERTAIN_FRAMES = 3
UNCERTAIN_SHARE = 0.01
RATE_FRAMES = 30  # whose timestamps tell the rate; a second of most videos
SAME_RATE = 0.1  # timestamps of whole milliseconds, and the jitter of cameras, are within it


def frames(source: str | Path | int, max_pixels: int = MAX_PIXELS) -> Generator[Frame, None, None]:
    """Yield the frames of a video file, an image file (one frame) or a camera (frames without end).

    A frame of a video has the container's timestamp, one of a camera the time since the first frame. Where a
    timestamp is missing or no later than the one before, it is by the stated rate. The video or camera is
    let go of when the iterator ends or is closed.

    Args:
        source: A file, whose content and not whose name tells what it is, or the index of a camera.
        max_pixels: Largest width x height of an image or frame, before anything is decoded.

    Raises:
        FerError: the file cannot be read or is neither an image nor a video; the video breaks off: the
            frames up to there have then been yielded; the camera is not there or stops giving images.
        ConfigError: the index of the camera is negative, or `max_pixels` is not positive.
    """
    if isinstance(source, int):
        return _camera_frames(source, max_pixels)
    return _file_frames(Path(source), max_pixels)


def frame_rate(path: str | Path, max_pixels: int = MAX_PIXELS) -> float:
    """Return the frames a second of a video file: as stated, or, where it lies, by its first timestamps.

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
    if not steps or min(steps) <= 0:  # the timestamps tell nothing
        return float(stated)
    # The mean of many, for stamps of whole milliseconds; of those near the median, for a pause is no rate.
    usual = statistics.median(steps)
    near = [step for step in steps if step < 2 * usual]
    measured = 1000 / statistics.fmean(near)
    return float(stated) if abs(measured / stated - 1) < SAME_RATE else measured


def _file_frames(path: Path, max_pixels: int) -> Generator[Frame, None, None]:
    cv2 = opencv()
    _check_file(path)
    if cv2.haveImageReader(name_for_opencv(path)):  # looks at the first bytes
        yield Frame(str(path), 0, 0.0, read_image(path, max_pixels=max_pixels))
    else:
        yield from _video_frames(path, max_pixels)


def _video_frames(path: Path, max_pixels: int) -> Iterator[Frame]:
    cv2 = opencv()
    with _capture(name_for_opencv(path), _not_a_video(path), max_pixels) as capture:
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))  # 0 or less where the container has none
        rate = capture.get(cv2.CAP_PROP_FPS) or 1.0
        index, time_ms = 0, 0.0
        while (image := _read(capture)) is not None:
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
    # With a varying rate the number worked out is wrong, but the end of the last frame is not. The rate may
    # be no more than the unit of the timestamps, so a frame is taken to last as long as those before it.
    reached_ms = time_ms * (1 + UNCERTAIN_FRAMES / index)
    if index < expected and reached_ms < expected / rate * 1000:
        raise FerError(
            f"{path} breaks off at frame {index} of {stated}: what was decoded up to there is done; "
            "copy or record the file anew for the rest"
        )


def _camera_frames(index: int, max_pixels: int) -> Generator[Frame, None, None]:
    if index < 0:
        raise ConfigError(f"the index of a camera must not be negative, got {index}; the first one is 0")
    absent = f"camera {index} cannot be opened: check that it is there, free, and that you may use it"
    with _capture(index, absent, max_pixels) as capture:
        start, count = None, 0
        while (image := _read(capture)) is not None:
            now = time.monotonic()
            start = now if start is None else start
            yield Frame(f"camera {index}", count, (now - start) * 1000, image)
            count += 1
    raise FerError(f"camera {index} gave no image after {count} frames: check that it is still connected")


@contextlib.contextmanager
def _capture(source: str | int, failure: str, max_pixels: int) -> Iterator[Any]:
    """Open a cv2.VideoCapture, and release it whatever happens.

    Raises:
        FerError: it cannot be opened, for which `failure` is the message, or its images are too large.
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


def _read(capture: Any) -> Any:
    cv2 = opencv()
    try:
        found, image = capture.read()
    except cv2.error:  # some backends raise where others say that there is no frame
        return None
    return image if found else None


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise FerError(
            f"cannot read {path}: {error.strerror or error}; check the path and your rights"
        ) from error
    if empty:
        raise FerError(f"{path} is empty (0 bytes): copy or record it anew")


def _not_a_video(path: Path) -> str:
    return (
        f"{path} is neither an image nor a video that OpenCV can decode, or it is cut short: check it in a "
        "player, or convert it to MP4, AVI, JPEG or PNG"
    )
