"""Reads frames from a URL: a camera in the network, which is reached again when it breaks off, or a film."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import time
from collections.abc import Generator
from typing import Any

from fer_engine.errors import FerError
from fer_engine.vision.video.container import UnopenedError, VideoReader, opened
from fer_engine.vision.video.frame import Frame

LOG = logging.getLogger(__name__)
LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp")  # they never end, as cameras
FILMS = ("http", "https")
RETRY_SECONDS = (1, 2, 4, 8, 16)  # waits before a live stream is tried again


def is_url(source: str) -> bool:
    """Whether a text is the URL of a stream, and no file."""
    return source.partition("://")[0].lower() in (*LIVE, *FILMS) and "://" in source


def is_live(url: str) -> bool:
    """Whether a stream never ends, so that frames are dropped rather than late."""
    return url.partition("://")[0].lower() in LIVE


def shown_url(url: str) -> str:
    """Return a URL without the name and password of a user, which belong into no result."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def stream_frames(url: str, max_pixels: int) -> Generator[Frame, None, None]:
    """Yield the frames of a stream. One by HTTP ends; a live one is connected again when it breaks off.

    Raises:
        FerError: it cannot be reached, also not again; or one by HTTP is damaged or cut short.
    """
    if is_live(url):
        yield from _live_frames(url, max_pixels)
        return
    name = shown_url(url)
    with _reached(url, name) as container:
        if container.format.name.endswith("_pipe"):
            raise FerError(f"{name} is an image: only videos are read from a URL, download it first")
        reader = VideoReader(container, name, max_pixels)
        yield from reader.frames()
        reader.check_whole()


def _live_frames(url: str, max_pixels: int) -> Generator[Frame, None, None]:
    name = shown_url(url)
    count, start, failures, time_ms = 0, time.monotonic(), 0, 0.0
    while True:
        reason = "it ended"
        try:
            with _reached(url, name) as container:
                start = start if count else time.monotonic()
                # What is sent faster than it was recorded is ahead of the clock.
                before_ms = max((time.monotonic() - start) * 1000, time_ms + 1) if count else 0.0
                for frame in VideoReader(container, name, max_pixels, live=True).frames():
                    failures = 0
                    time_ms = before_ms + frame.time_ms
                    yield dataclasses.replace(frame, index=count, time_ms=time_ms)
                    count += 1
        except UnopenedError as error:
            if not count:
                raise
            reason = str(error)
        if failures == len(RETRY_SECONDS):
            raise FerError(f"{name} broke off after {count} frames and cannot be reached again: {reason}")
        LOG.warning("%s broke off after frame %d; connecting again", name, count - 1)
        time.sleep(RETRY_SECONDS[failures])
        failures += 1


def _reached(url: str, name: str) -> contextlib.AbstractContextManager[Any]:
    return opened(url, f"{name} cannot be opened", "check the address, the network, and name and password")
