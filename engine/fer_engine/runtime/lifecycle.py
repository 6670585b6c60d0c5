"""A way in that can be shut for good."""

from __future__ import annotations

import os
import threading

from fer_engine.errors import BackendError


class Gate:
    """Counts the calls under way as a context manager; once closed it lets none in.

    A process that was forked off has the engine's memory, but none of its threads: there it is closed.

    Raises:
        BackendError: on entry, when the gate is closed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False
        self._process = os.getpid()

    @property
    def is_at_home(self) -> bool:
        """Whether this is the process that made it."""
        return os.getpid() == self._process

    def __enter__(self) -> None:
        if not self.is_at_home:  # first: whoever held the lock may not have come along
            raise BackendError(
                "the engine was loaded before this process was forked off, and its threads are in the other "
                "one; load an engine here, or start processes with the method spawn"
            )
        with self._changed:
            if self._closed:
                raise BackendError("the engine is closed; make a new one with Engine.load")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            if self._inside == 0:
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and return when all have left."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0)
