"""Turns decoded frames into what a screen would show: whole, with square pixels, upright.

FFmpeg's filters do the work: bwdif (the BBC's w3fdif joined with yadif) makes one frame of the two fields of
an interlaced one, scale makes pixels square, transpose and flips follow the display matrix of phones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from fer_engine.vision.video.frame import check_frame_size

SAME_SHAPE = 0.01  # pixels this near to square are taken as they are: encoders round the sides


class Display:
    """Takes the decoded frames of one video in order, and gives them as they are shown.

    Interlaced frames come one frame late, because the filter looks at their neighbours.

    Args:
        stream: A video stream of PyAV.
        name: The source's name in errors.
        max_pixels: Largest width x height, checked as the frames are stored and as they are shown.
    """

    def __init__(self, stream: Any, name: str, max_pixels: int) -> None:
        self._stream = stream
        self._name = name
        self._max_pixels = max_pixels
        self._interlaced = False
        self._kind: tuple[object, ...] = ()
        self._graph: Any = None

    def show(self, frame: Any) -> Iterator[Any]:
        """Yield the frames, av.VideoFrame in bgr24, that are ready after the next decoded one."""
        # A film may change from interlaced to progressive and back; the filter passes the latter on.
        self._interlaced = self._interlaced or frame.interlaced_frame
        matrix = orientation(frame)
        shape = stored_shape(self._stream)
        kind = (frame.width, frame.height, frame.format.name, self._interlaced, matrix, shape)
        if kind != self._kind:  # also in the middle: recordings are joined, broadcasts change
            yield from self.rest()
            width, height = shown_size(frame.width, frame.height, shape)
            for size in ((frame.width, frame.height), (width, height)):
                check_frame_size(self._name, size, self._max_pixels)
            self._graph, self._kind = self._built(frame, width, height, matrix), kind
        self._graph.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[Any]:
        """Yield the frames that are still held back, at the end."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
            self._graph, self._kind = None, ()

    def _built(self, frame: Any, width: int, height: int, matrix: tuple[bool, bool, bool]) -> Any:
        from av.filter import Graph

        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        transposed, mirrored, flipped = matrix
        steps = [
            ("bwdif", "mode=send_frame:parity=auto:deint=interlaced", self._interlaced),
            ("scale", f"{width}:{height}", (width, height) != (frame.width, frame.height)),
            ("transpose", "cclock_flip", transposed),
            ("hflip", "", mirrored),
            ("vflip", "", flipped),
            ("format", "bgr24", True),
            ("buffersink", "", True),
        ]
        nodes = [source, *(graph.add(name, options or None) for name, options, used in steps if used)]
        graph.link_nodes(*nodes).configure()
        return graph

    def _ready(self) -> Iterator[Any]:
        import av

        with contextlib.suppress(av.BlockingIOError, av.EOFError):
            while True:
                yield self._graph.pull()


def stored_shape(stream: Any) -> Fraction:
    """Return width / height of a stored pixel; 1 where it is nearly that, or none is stated."""
    stated = Fraction(stream.sample_aspect_ratio or 1)
    return Fraction(1) if abs(stated - 1) < SAME_SHAPE else stated


def shown_size(width: int, height: int, shape: Fraction) -> tuple[int, int]:
    """Return the size in square pixels: one side is enlarged, none is reduced."""
    return (round(width * shape), height) if shape >= 1 else (width, round(height / shape))


def orientation(frame: Any) -> tuple[bool, bool, bool]:
    """Return how to set a frame upright: whether to transpose it, then to mirror it, then to flip it.

    The display matrix (ISO 14496-12, FFmpeg's libavutil/display.h) is nine int32 in rows a b u, c d v, x y w;
    a stored point (x, y) is shown at (ax + cy, bx + dy). Other angles are rounded to quarter turns.
    """
    stated = frame.side_data.get("DISPLAYMATRIX")
    if stated is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(stated), np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
