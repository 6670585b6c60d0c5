"""The lanes of a model, lent to the threads that call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from fer_engine.backend import Faces, Logits
from fer_engine.backends.cuda.array import DeviceArray
from fer_engine.backends.tensorrt.lane import Lane
from fer_engine.backends.tensorrt.split import Part


class Lanes:
    """Runs the parts of a batch on as many lanes as are idle, one at least.

    With two lanes the faces of one part are staged while the GPU computes another. A caller that
    finds no lane idle waits for one.
    """

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._idle: SimpleQueue[Lane] = SimpleQueue()
        for lane in lanes:
            self._idle.put(lane)

    def run(self, parts: list[Part], faces: Faces, logits: Logits) -> None:
        """Fill `logits` with the results of `faces`; several threads may call at once."""
        with contextlib.ExitStack() as borrowed:
            lanes = [self._lend(self._idle.get(), borrowed)]
            with contextlib.suppress(Empty):
                while len(lanes) < len(parts):
                    lanes.append(self._lend(self._idle.get_nowait(), borrowed))
            for index, (bucket, part) in enumerate(parts):
                lane = lanes[index % len(lanes)]
                lane.finish()
                lane.start(bucket, faces[part], logits[part])
            for lane in lanes:
                lane.finish()

    def run_on_device(self, faces: object, cut: Callable[[int], Iterable[Part]]) -> DeviceArray:
        """Start faces on the device on one lane: nothing has to be staged, so a second would not help."""
        with contextlib.ExitStack() as borrowed:
            return self._lend(self._idle.get(), borrowed).run_on_device(faces, cut)

    def _lend(self, lane: Lane, borrowed: contextlib.ExitStack) -> Lane:
        """Have the lane come back, with nothing under way, when `borrowed` is closed."""
        borrowed.callback(self._idle.put, lane)
        borrowed.callback(lane.abandon)
        return lane
