"""Streams and events of the simulated device."""

from __future__ import annotations

import collections
from collections.abc import Callable
from dataclasses import dataclass, field


class WorkError(Exception):
    """Work that fails on the device, which only the next wait for the stream tells."""


@dataclass
class Record:
    """A place in a stream's work; `done` once the stream got there."""

    stream: Stream
    done: bool = False


@dataclass
class Event:
    device: int
    record: Record | None = None  # None: nothing to wait for


@dataclass
class Stream:
    device: int
    eager: bool
    queue: collections.deque = field(default_factory=collections.deque)
    captured: list | None = None
    capturing_thread: int | None = None
    failed: bool = False

    def put(self, work: Callable[[], None]) -> None:
        """Take work in; a stream under capture only notes it, a failed one drops it until that is told."""
        if self.captured is not None:
            self.captured.append(work)
            return
        if self.failed:
            return
        self.queue.append(work)
        if self.eager:
            self.drain()

    def mark(self) -> Record:
        """Return the place where the stream's work ends now."""
        record = Record(self)
        self.put(lambda: setattr(record, "done", True))
        return record

    def wait(self, record: Record) -> None:
        """Take in that nothing goes on until another stream got to a place."""

        def work() -> None:
            record.stream.drain(record)
            if not record.done:
                raise WorkError

        self.put(work)

    def drain(self, until: Record | None = None) -> None:
        """Do the work, all of it or up to a place."""
        try:
            while self.queue and not (until and until.done):
                self.queue.popleft()()
        except WorkError:
            self.queue.clear()
            self.failed = True
