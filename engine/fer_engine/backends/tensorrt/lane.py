"""A stream with a bucket for each batch size, for one thread at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue

import numpy as np

from fer_engine.backends.cuda.array import DeviceArray
from fer_engine.backends.cuda.external import ExternalArray, acquire, check_device_faces
from fer_engine.backends.cuda.protocol import Cuda, CudaError
from fer_engine.backends.tensorrt.bucket import Bucket
from fer_engine.backends.tensorrt.loaded_plan import LoadedPlan
from fer_engine.backends.tensorrt.split import Part
from fer_engine.runtime.backend import Faces, Logits

TIMED_RUNS = 5


class Lane:
    """Does one run after another: `start`, then `finish`. The contexts share their scratch memory.

    `run_on_device` needs no `finish`: what follows in the stream comes after it.

    All that is made here is given back when `owned` is closed.
    """

    def __init__(self, cuda: Cuda, plan: LoadedPlan, buckets: Mapping[int, int], owned: ExitStack) -> None:
        self._cuda = cuda
        self._face_shape = plan.face_shape
        self._outputs = plan.outputs
        self._pending: tuple[Bucket, Logits] | None = None
        self._lent: ExternalArray | None = None  # what the stream may still read
        self._stream = cuda.create_stream()
        owned.callback(cuda.destroy_stream, self._stream)
        self._event = cuda.create_event()
        owned.callback(cuda.destroy_event, self._event)
        owned.callback(setattr, self, "_lent", None)  # after the buckets have waited for the stream
        scratch = cuda.allocate(max(1, *map(plan.scratch_size, buckets.values())))
        owned.callback(cuda.free, scratch)
        self._buckets = {
            batch: Bucket(cuda, plan, batch, profile, self._stream, scratch, owned)
            for batch, profile in buckets.items()
        }

    def start(self, bucket: int, faces: Faces, logits: Logits) -> None:
        """Begin the run of 1 to `bucket` faces whose results `finish` shall write into `logits`."""
        work = self._buckets[bucket]
        self._pending = (work, logits)
        work.start(faces)

    def finish(self) -> None:
        """Wait for the run under way, if there is one, and write its results."""
        if self._pending is None:
            return
        self._synchronize()
        work, logits = self._pending
        work.read(logits)
        self._pending = None

    def abandon(self) -> None:
        """Wait for the run under way after an error, whatever comes of it."""
        if self._pending is not None:
            with suppress(CudaError):
                self._synchronize()
            self._pending = None

    def run_on_device(self, faces: object, cut: Callable[[int], Iterable[Part]]) -> DeviceArray:
        """Put the runs of faces on the device into the stream; return what will be their results.

        `cut` cuts a number of faces into parts. The faces are kept until the stream is next waited for:
        here, before the next such run, so that a caller who never waits keeps no more than those of one.
        """
        if self._lent is not None:
            self._synchronize()
        lent = acquire(faces, self._cuda, self._stream, self._event)
        check_device_faces(lent, self._face_shape)
        self._lent = lent
        try:
            logits = DeviceArray(self._cuda, (lent.shape[0], self._outputs))
            for bucket, part in cut(lent.shape[0]):
                self._buckets[bucket].start_on_device(
                    lent.address + part.start * math.prod(self._face_shape),
                    logits.address + part.start * self._outputs * logits.dtype.itemsize,
                    part.stop - part.start,
                )
            logits.mark_ready(self._stream)
        except BaseException:
            with suppress(CudaError):
                self._synchronize()
            raise
        return logits

    def _synchronize(self) -> None:
        self._cuda.synchronize(self._stream)
        self._lent = None

    def seconds(self, bucket: int, clock: Callable[[], float]) -> float:
        """Return how long a full run of a bucket takes at best, from faces to logits."""
        faces = np.zeros((bucket, *self._face_shape), np.uint8)
        logits = np.empty((bucket, self._outputs), np.float32)
        best = float("inf")
        for _ in range(TIMED_RUNS):
            begin = clock()
            self.start(bucket, faces, logits)
            self.finish()
            best = min(best, clock() - begin)
        return best


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
        with ExitStack() as borrowed:
            lanes = [self._lend(self._idle.get(), borrowed)]
            with suppress(Empty):
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
        with ExitStack() as borrowed:
            return self._lend(self._idle.get(), borrowed).run_on_device(faces, cut)

    def _lend(self, lane: Lane, borrowed: ExitStack) -> Lane:
        """Make the lane idle again, with no run under way, when `borrowed` is closed."""
        borrowed.callback(self._idle.put, lane)
        borrowed.callback(lane.abandon)
        return lane
