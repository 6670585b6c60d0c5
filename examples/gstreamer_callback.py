"""Classify raw frames that arrive in a callback on another thread, such as from GStreamer's appsink."""

import contextlib
import queue
from collections.abc import Iterator

import numpy as np

from fer_engine import Engine
from fer_engine.vision import Analysis, Frame, Pipeline


class Expressions:
    """Connect `on_frame` to the sink (caps "video/x-raw,format=BGR"), and iterate over `analyses`."""

    def __init__(self, engine: Engine) -> None:
        self._pipeline = Pipeline(engine, every=3, smoothing=0.6, live=True)
        self._frames: queue.Queue[Frame | None] = queue.Queue(maxsize=2)
        self._count = 0

    def on_frame(self, data: bytes, width: int, height: int, stride: int, time_ns: int) -> None:
        """Take a frame without blocking the stream: it is dropped if two others are waiting.

        Rows may be padded to `stride` bytes. The data is copied, because the sink reuses its buffer.
        """
        rows = np.frombuffer(data, np.uint8, count=height * stride).reshape(height, stride)
        image = rows[:, : width * 3].reshape(height, width, 3).copy()
        with contextlib.suppress(queue.Full):
            self._frames.put_nowait(Frame("stream", self._count, time_ns / 1e6, image))
        self._count += 1

    def on_end(self) -> None:
        self._frames.put(None)

    def analyses(self) -> Iterator[Analysis]:
        return self._pipeline.run(iter(self._frames.get, None))
