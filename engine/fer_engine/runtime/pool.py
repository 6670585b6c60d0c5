"""Persistent threads that share a batch with the thread that brought it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue

Task = Callable[[slice], None]


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

    def run(self, task: Task, shards: Iterable[slice]) -> None:
        """Call `task` once with each shard, in any order and from several threads; return when all are done.

        Where calls fail, the first error is raised and the shards not yet begun are left out.
        """
        job = _Job(task, shards)
        for _ in range(min(len(self._threads), job.remaining - 1)):
            self._jobs.put(job)
        job.work()
        job.wait()

    def stop(self) -> None:
        """End the threads once the jobs already given are done."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():  # garbage collection may call from any thread
                thread.join()


class _Job:
    def __init__(self, task: Task, shards: Iterable[slice]) -> None:
        self._task = task
        self._shards = deque(shards)  # its popleft is atomic
        self.remaining = len(self._shards)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None

    def work(self) -> None:
        while True:
            try:
                shard = self._shards.popleft()
            except IndexError:
                return
            try:
                if self._error is None:
                    self._task(shard)
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whichever thread it came from
                self._error = error
            with self._lock:
                self.remaining -= 1
                if self.remaining == 0:
                    self._done.set()

    def wait(self) -> None:
        self._done.wait()
        if self._error is not None:
            raise self._error


def _help(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.work()
        del job  # its faces must not live on while the thread waits for the next
