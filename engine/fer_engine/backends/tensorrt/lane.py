"""A stream with a bucket for each batch size, for one thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

import numpy as np

from fer_engine.backend import Faces, Logits
from fer_engine.backends.cuda.protocol import Cuda, CudaError
from fer_engine.backends.tensorrt.bucket import Bucket
from fer_engine.backends.tensorrt.engine import LoadedPlan

TIMED_RUNS = 5


class Lane:
    """Does one run after another: `start`, then `finish`. The contexts share their scratch memory.

    All that is made here is given back when `owned` is closed.
    """

    def __init__(self, cuda: Cuda, plan: LoadedPlan, buckets: Mapping[int, int], owned: ExitStack) -> None:
        self._cuda = cuda
        self._face_shape = plan.face_shape
        self._classes = plan.classes
        self._pending: tuple[Bucket, Logits] | None = None
        self._stream = cuda.create_stream()
        owned.callback(cuda.destroy_stream, self._stream)
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
        self._cuda.synchronize(self._stream)
        work, logits = self._pending
        work.read(logits)
        self._pending = None

    def abandon(self) -> None:
        """Wait for the run under way after an error, whatever comes of it."""
        if self._pending is not None:
            with suppress(CudaError):
                self._cuda.synchronize(self._stream)
            self._pending = None

    def seconds(self, bucket: int, clock: Callable[[], float]) -> float:
        """Return how long a full run of a bucket takes at best, from faces to logits."""
        faces = np.zeros((bucket, *self._face_shape), np.uint8)
        logits = np.empty((bucket, self._classes), np.float32)
        best = float("inf")
        for _ in range(TIMED_RUNS):
            begin = clock()
            self.start(bucket, faces, logits)
            self.finish()
            best = min(best, clock() - begin)
        return best
