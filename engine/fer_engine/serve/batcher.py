"""Groups the faces of many requests into batches for the engine.

Dynamic batching as in Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System",
NSDI 2017: a batch that is not full waits for a limited time. Here it only waits for as many faces as were
there at the end of the last batch, so that a single client, or the last of many, does not wait in vain.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fer_engine.errors import ConfigError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve.limits import Limits, RefusedError

MAX_BATCH = 64
MAX_DELAY = 0.002
LONGEST_DELAY = 3600.0  # seconds, far more than is useful


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How faces are grouped into batches.

    `max_batch` is the largest number of faces in a batch; 1 turns batching off. A batch that is not full
    waits at most `max_delay` seconds for as many faces as were in the last batch and waiting at its end.
    `runners` batches run at once.

    Raises:
        ConfigError: a value is out of range.
    """

    max_batch: int = MAX_BATCH
    max_delay: float = MAX_DELAY
    runners: int = 1

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ConfigError(f"the largest batch must be at least 1 face, got {self.max_batch}")
        if not 0 <= self.max_delay <= LONGEST_DELAY:
            raise ConfigError(
                f"the longest delay must be in [0, {LONGEST_DELAY:g}] seconds, got {self.max_delay}"
            )
        if self.runners < 1:
            raise ConfigError(f"runners must be at least 1, got {self.runners}")


@dataclass(slots=True, eq=False)
class _Job:
    """The faces of one request; `taken` counts those given to the engine, `done` those it has returned."""

    faces: Faces
    logits: Logits
    future: asyncio.Future[Logits]
    arrived: float
    taken: int = 0
    done: int = 0


class _Slice(NamedTuple):
    """The rows of a job that go into one batch."""

    job: _Job
    rows: slice


@dataclass(frozen=True, slots=True)
class Batch:
    """The size and times of one batch, in seconds of `time.perf_counter`.

    `arrivals` are the times at which the requests arrived whose first face is in this batch.
    """

    faces: int
    arrivals: tuple[float, ...]
    begun: float
    ended: float
    failed: bool


class Batcher:
    """Runs `infer` on batches with faces of several requests, in its own threads.

    `infer` takes uint8 [n, ...] and returns float32 [n, classes], row for row. `observe` is called with each
    batch, in the event loop. Create and use a Batcher inside one running event loop.
    """

    def __init__(
        self,
        infer: Callable[[Faces], Logits],
        classes: int,
        options: BatchOptions,
        limits: Limits,
        observe: Callable[[Batch], None],
    ) -> None:
        self._infer = infer
        self._classes = classes
        self._options = options
        self._limits = limits
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._waiting = 0  # faces that no runner has taken
        self._wanted = 1  # the next batch waits for so many faces
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"fer-batcher-{i}") for i in range(options.runners)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Faces that no runner has taken yet."""
        return self._waiting

    async def logits(self, faces: Faces, deadline: float) -> Logits:
        """Return the logits, float32 [n, classes], of the faces of one request, uint8 [n, ...].

        Args:
            faces: They may share batches with other requests, or be split over several.
            deadline: The latest time of the answer, in the event loop's time.

        Raises:
            RefusedError: the queue is full, the deadline has passed, or the batcher was stopped.
            FerError: the engine failed.
        """
        logits = np.empty((len(faces), self._classes), np.float32)
        if len(faces) == 0:
            return logits
        job = _Job(faces, logits, self._loop.create_future(), time.perf_counter())
        self._put(job)
        timer = self._loop.call_at(deadline, self._expire, job)
        try:
            return await job.future
        finally:
            timer.cancel()

    def stop(self) -> None:
        """Finish the running batches, refuse the waiting requests, and end the threads.

        Call it in the event loop. `logits` must not be called afterwards.
        """
        with self._changed:
            self._stopping = True
            waiting = list(self._jobs)
            self._jobs.clear()
            self._waiting = 0
            self._changed.notify_all()
        for job in waiting:
            self._refuse(job, RefusedError(503, "the server is about to end; try again", retry=True))
        for thread in self._threads:
            thread.join()

    def _put(self, job: _Job) -> None:
        with self._changed:
            if self._waiting + len(job.faces) > self._limits.queue:
                raise RefusedError(
                    503,
                    f"{self._waiting} faces wait, at most {self._limits.queue} may; try again",
                    retry=True,
                )
            self._jobs.append(job)
            first = self._waiting == 0
            self._waiting += len(job.faces)
            if first or self._waiting >= self._wanted:
                self._changed.notify_all()

    def _expire(self, job: _Job) -> None:
        self._refuse(job, self._limits.late())

    def _refuse(self, job: _Job, refusal: RefusedError) -> None:
        if not job.future.done():
            job.future.set_exception(refusal)

    def _run(self) -> None:
        while slices := self._next_batch():
            faces = [job.faces[rows] for job, rows in slices]
            count = sum(map(len, faces))
            begun = time.perf_counter()
            outcome: Logits | Exception
            try:
                outcome = self._infer(faces[0] if len(faces) == 1 else np.concatenate(faces))
            except Exception as error:  # noqa: BLE001 - fails only the requests of this batch
                outcome = error
            ended = time.perf_counter()
            with self._changed:  # before the answers, after which clients may send their next requests
                self._wanted = min(count + self._waiting, self._options.max_batch)
            arrivals = tuple(job.arrived for job, rows in slices if rows.start == 0)
            batch = Batch(count, arrivals, begun, ended, isinstance(outcome, Exception))
            self._loop.call_soon_threadsafe(self._deliver, slices, outcome, batch)

    def _next_batch(self) -> list[_Slice]:
        """Wait for the next batch; it is empty when the thread should end."""
        begun = time.perf_counter()
        with self._changed:
            while not self._is_ready(begun):
                self._changed.wait(self._remaining_delay(begun))
            return self._take_batch()

    def _is_ready(self, begun: float) -> bool:
        self._drop_answered()
        if not self._jobs:
            return self._stopping
        return self._waiting >= self._wanted or self._remaining_delay(begun) == 0

    def _remaining_delay(self, begun: float) -> float | None:
        """Return for how many seconds the batch may still wait for more faces; None if there is no face."""
        if not self._jobs:
            return None
        since = max(begun, self._jobs[0].arrived)
        return max(0.0, since + self._options.max_delay - time.perf_counter())

    def _take_batch(self) -> list[_Slice]:
        """Take the faces of the next batch off the queue."""
        slices: list[_Slice] = []
        free = self._options.max_batch
        while free and self._jobs:
            job = self._jobs[0]
            rows = slice(job.taken, min(job.taken + free, len(job.faces)))
            slices.append(_Slice(job, rows))
            free -= rows.stop - rows.start
            self._waiting -= rows.stop - rows.start
            job.taken = rows.stop
            if job.taken == len(job.faces):
                self._jobs.popleft()
        return slices

    def _drop_answered(self) -> None:
        """Drop jobs whose request was refused or whose client has left."""
        while self._jobs and self._jobs[0].future.done():
            job = self._jobs.popleft()
            self._waiting -= len(job.faces) - job.taken

    def _deliver(self, slices: list[_Slice], outcome: Logits | Exception, batch: Batch) -> None:
        """Give each job its rows, in the event loop."""
        start = 0
        for job, rows in slices:
            stop = start + rows.stop - rows.start
            if job.future.done():
                pass
            elif isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.logits[rows] = outcome[start:stop]
                job.done += stop - start
                if job.done == len(job.faces):
                    job.future.set_result(job.logits)
            start = stop
        self._observe(batch)
