"""Groups the faces of many requests into batches for the engine.

Dynamic batching as in Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System",
NSDI 2017: a batch that is not full waits for a bounded time. Here it waits only for as many faces as there
were lately, so that a client that is alone, or is the last of many, does not wait for nobody.
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
LONGEST_DELAY = 3600.0  # seconds, far beyond any use


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How faces are grouped.

    `max_batch` faces go to the engine at once; with 1 each goes alone. A batch that is not full waits at
    most `max_delay` seconds for as many faces as were there when the last one ended, its own included.
    `runners` batches are under way at once.
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
    """The faces of one request on their way; `taken` and `done` count those given to the engine and back."""

    faces: Faces
    logits: Logits
    future: asyncio.Future[Logits]
    arrived: float
    taken: int = 0
    done: int = 0


class _Piece(NamedTuple):
    """The rows of a job that go into one batch."""

    job: _Job
    rows: slice


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened to one batch; times are in seconds of `time.perf_counter`.

    `arrivals` are those of the requests whose first face is in it.
    """

    faces: int
    arrivals: tuple[float, ...]
    begun: float
    ended: float
    failed: bool


class Batcher:
    """Runs `infer` on batches of faces of several requests, in threads of its own.

    `infer` takes uint8 [n, ...] and returns float32 [n, classes], row for row. `observe` is told of each
    batch, in the event loop. Make it and call it inside one running event loop.
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
        self._waiting = 0  # faces of the jobs that no runner has taken
        self._wanted = 1  # faces for which the next batch waits
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
        """Return the logits of faces, whoever shares their batch, until `deadline` of the event loop's time.

        Raises:
            RefusedError: the queue is full, the engine did not get to the faces in time, or it was stopped.
            FerError: the engine failed.
        """
        if len(faces) == 0:
            return np.empty((0, self._classes), np.float32)
        job = _Job(
            faces,
            np.empty((len(faces), self._classes), np.float32),
            self._loop.create_future(),
            time.perf_counter(),
        )
        self._put(job)
        timer = self._loop.call_at(deadline, self._expire, job)
        try:
            return await job.future
        finally:
            timer.cancel()

    def stop(self) -> None:
        """Finish the batches that are under way, refuse what waits, and end the threads.

        Call it in the event loop; no `logits` may follow.
        """
        with self._changed:
            self._stopping = True
            waiting = list(self._jobs)
            self._jobs.clear()
            self._waiting = 0
            self._changed.notify_all()
        for job in waiting:
            self._refuse(job, RefusedError(503, "the server ends; try again", retry=True))
        for thread in self._threads:
            thread.join()

    def _put(self, job: _Job) -> None:
        with self._changed:
            if self._waiting + len(job.faces) > self._limits.queue:
                raise RefusedError(
                    503,
                    f"{self._waiting} faces wait already, {self._limits.queue} may; try again",
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
        while pieces := self._take():
            faces = [piece.job.faces[piece.rows] for piece in pieces]
            count = sum(map(len, faces))
            begun = time.perf_counter()
            outcome: Logits | Exception
            try:
                outcome = self._infer(faces[0] if len(faces) == 1 else np.concatenate(faces))
            except Exception as error:  # noqa: BLE001 - of this batch's requests alone; the next may pass
                outcome = error
            ended = time.perf_counter()
            with self._changed:  # before anyone who has the answer can ask again
                self._wanted = min(count + self._waiting, self._options.max_batch)
            arrivals = tuple(job.arrived for job, rows in pieces if rows.start == 0)
            batch = Batch(count, arrivals, begun, ended, isinstance(outcome, Exception))
            self._loop.call_soon_threadsafe(self._deliver, pieces, outcome, batch)

    def _take(self) -> list[_Piece]:
        """Wait for the next batch; it is empty when the threads shall end."""
        begun = time.perf_counter()
        with self._changed:
            while not self._is_time(begun):
                self._changed.wait(self._patience(begun))
            return self._cut()

    def _is_time(self, begun: float) -> bool:
        self._drop_answered()
        if not self._jobs:
            return self._stopping
        return self._waiting >= self._wanted or self._patience(begun) == 0

    def _patience(self, begun: float) -> float | None:
        """Return how long to wait yet for more faces, None where there is none."""
        if not self._jobs:
            return None
        since = max(begun, self._jobs[0].arrived)
        return max(0.0, since + self._options.max_delay - time.perf_counter())

    def _cut(self) -> list[_Piece]:
        """Take the next batch off the queue."""
        pieces: list[_Piece] = []
        room = self._options.max_batch
        while room and self._jobs:
            job = self._jobs[0]
            rows = slice(job.taken, min(job.taken + room, len(job.faces)))
            pieces.append(_Piece(job, rows))
            room -= rows.stop - rows.start
            self._waiting -= rows.stop - rows.start
            job.taken = rows.stop
            if job.taken == len(job.faces):
                self._jobs.popleft()
        return pieces

    def _drop_answered(self) -> None:
        """Forget jobs whose request was refused, or whose client left, in the meantime."""
        while self._jobs and self._jobs[0].future.done():
            job = self._jobs.popleft()
            self._waiting -= len(job.faces) - job.taken

    def _deliver(self, pieces: list[_Piece], outcome: Logits | Exception, batch: Batch) -> None:
        """Give each job its rows; this runs in the event loop."""
        start = 0
        for job, rows in pieces:
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
