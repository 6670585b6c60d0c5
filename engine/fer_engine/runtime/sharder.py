"""Cuts a batch into micro-batches and has all cores work on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np

from fer_engine.runtime.backend import Backend, Faces, Logits
from fer_engine.runtime.pool import WorkerPool

PROBE_ROUNDS = 8
# Seconds after which no further round of the probe begins, so that a slow model is not held up by it.
PROBE_BUDGET = 0.1
# Waking a thread for one face of a small network takes as long as the calling thread needs for it.
SMALLEST_SHARD = 2


class Sharder:
    """Runs batches of any size on a backend, from any thread.

    `micro_batch` is the largest number of faces given to the runtime at once, and
    `micro_batch_from` says why: "given" (the backend or the caller leaves no choice), "default", or
    "probe": where the backend offers several sizes, the first batch that is large enough is used to
    measure them.
    """

    def __init__(self, backend: Backend, outputs: int) -> None:
        self._backend = backend
        self._outputs = outputs
        self._sizes = backend.micro_batches
        self._starting, self._probing = threading.Lock(), threading.Lock()
        self._pool: WorkerPool | None = None
        self.micro_batch = self._sizes[len(self._sizes) // 2]
        self.micro_batch_from = "default" if len(self._sizes) > 1 else "given"

    def infer(self, faces: Faces) -> Logits:
        """Return the logits, float32 [n, outputs], of faces, uint8 [n, ...]; n is at least 1."""
        if self._backend.splits:
            return self._backend.infer(np.ascontiguousarray(faces))
        if self.micro_batch_from == "default" and len(faces) >= self._sizes[-1]:
            self._probe(faces[: self._sizes[-1] * self._backend.workers])
        return self._run(faces, _shard_count(len(faces), self.micro_batch, self._backend.workers))

    def _run(self, faces: Faces, count: int) -> Logits:
        """Run `faces` in `count` micro-batches."""
        if count == 1:
            return self._backend.infer(np.ascontiguousarray(faces))
        logits = np.empty((len(faces), self._outputs), np.float32)
        shards = list(_shards(len(faces), count))
        if self._backend.overlaps:
            self._backend.infer_shards(faces, shards, logits)
            return logits

        def task(shard: slice) -> None:
            logits[shard] = self._backend.infer(np.ascontiguousarray(faces[shard]))

        (self._pool or self._start_pool()).run(task, shards)
        return logits

    def stop(self) -> None:
        """End the threads; no `infer` may be under way or follow."""
        if self._pool is not None:
            self._pool.stop()

    def _start_pool(self) -> WorkerPool:
        """Start the threads at their first use: a process that asks for single faces never pays for them."""
        with self._starting:
            if self._pool is None:
                self._pool = WorkerPool(self._backend.workers - 1)
            return self._pool

    def _probe(self, faces: Faces) -> None:
        """Keep the micro-batch that gets all cores through `faces` first."""
        if not self._probing.acquire(blocking=False):
            return  # another thread is at it: the default will do for this batch
        try:
            workers = self._backend.workers
            counts = {_shard_count(len(faces), size, workers): size for size in reversed(self._sizes)}
            best = dict.fromkeys(counts, float("inf"))  # seconds
            start = time.perf_counter()
            for done in range(PROBE_ROUNDS):
                if done > 1 and time.perf_counter() - start > PROBE_BUDGET:
                    break
                for count in counts:
                    begin = time.perf_counter()
                    self._run(faces, count)
                    best[count] = min(best[count], time.perf_counter() - begin)
            self.micro_batch = counts[min(best, key=best.__getitem__)]
            self.micro_batch_from = "probe"
        finally:
            self._probing.release()


def _shard_count(faces: int, micro_batch: int, workers: int) -> int:
    """Return the fewest micro-batches that give every worker equally many, where they are not too small."""
    needed = -(-faces // micro_batch)
    even = -(-needed // workers) * workers
    return max(needed, min(even, faces // SMALLEST_SHARD))


def _shards(faces: int, count: int) -> Iterator[slice]:
    """Cut into `count` parts whose sizes differ by one at most."""
    for index in range(count):
        yield slice(index * faces // count, (index + 1) * faces // count)
