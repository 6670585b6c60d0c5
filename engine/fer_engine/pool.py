"""Persistent threads that share a batch with the thread that brought it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

Result = NDArray[Any]
Task = Callable[[slice], Result]


class WorkerPool:
    """`helpers` threads that wait for work; several callers may share them.

    The caller is a worker itself, so that no batch waits for a thread to wake up, and every worker
    takes the next shard when it is through with its last: a disturbed core takes fewer.
    """

    def __init__(self, helpers: int) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=_help, args=(self._jobs,), name=f"fer-engine-{i}", daemon=True)
            for i in range(helpers)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, task: Task, shards: Iterable[slice], out: Result) -> None:
        """Fill `out[shard]` with `task(shard)` for each shard, in any order and from several threads.

        A task may be run twice for one shard (see `_Job.finish`), so it must have no effect of its
        own. Where it fails, the first error is raised and the shards not yet begun are left out.
        """
        job = _Job(task, shards, out)
        for _ in range(min(len(self._threads), len(job.left) - 1)):
            self._jobs.put(job)
        job.finish()

    def stop(self) -> None:
        """End the threads once the jobs already given are done."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():  # garbage collection may call from any thread
                thread.join()


class _Job:
    """One batch: `todo` holds the shards that nobody has begun, `left` those without a result."""

    def __init__(self, task: Task, shards: Iterable[slice], out: Result) -> None:
        self._task = task
        self._out = out
        self.left = dict(enumerate(shards))
        self._todo = deque(self.left)  # its popleft is atomic
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None

    def work(self) -> None:
        """Take shards as long as there are some."""
        while True:
            try:
                index = self._todo.popleft()
            except IndexError:
                return
            self._do(index, self.left[index])

    def finish(self) -> None:
        """Work, then wait for the helpers, though not for long.

        A helper whose core is taken by another process sleeps for several shards' time. What it
        has begun is then done once more here, and whichever result comes second is dropped
        (the backup tasks of Dean and Ghemawat, MapReduce, 2004).
        """
        begin = time.perf_counter()
        count = len(self._todo)
        self.work()
        patience = (time.perf_counter() - begin) / count
        while not self._done.wait(patience):
            with self._lock:
                index, shard = next(iter(self.left.items()), (0, None))
            if shard is not None:
                self._do(index, shard)
        if self._error is not None:
            raise self._error

    def _do(self, index: int, shard: slice) -> None:
        result: Result | None = None
        try:
            if self._error is None:
                result = self._task(shard)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whichever thread it came from
            self._error = error
        with self._lock:
            if self.left.pop(index, None) is None:
                return
            if result is not None:
                self._out[shard] = result
            if not self.left:
                self._done.set()


def _help(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.work()
        del job  # its faces must not live on while the thread waits for the next
