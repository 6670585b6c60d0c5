"""Which calls may enter the engine: none once it is closed, none in a forked process."""

from __future__ import annotations

import os
import threading

from fer_engine.errors import BackendError


class CallGuard:
    """Counts the calls under way, each of which is a `with` block; `close` waits for them and admits no more.

    A process that was forked off has the engine's memory, but none of its threads: there no call is admitted.

    Calls are counted by thread: Ctrl-C may end one between its count and its `with` block, in the main
    thread; nothing takes that back. `close` does not wait for its own thread, which has no call under way.

    Raises:
        BackendError: on entry, in a forked process or after `close`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[int, int] = {}  # by thread
        self._closed = False
        self._process = os.getpid()

    @property
    def in_own_process(self) -> bool:
        """Whether this is the process that made it."""
        return os.getpid() == self._process

    def __enter__(self) -> None:
        if not self.in_own_process:  # first: whoever held the lock may not have come along
            raise BackendError(
                "the engine was loaded before this process was forked off, and its threads are in the other "
                "one; load an engine here, or start processes with the method spawn"
            )
        with self._changed:
            if self._closed:
                raise BackendError("the engine is closed; make a new one with Engine.load")
            thread = threading.get_ident()
            self._calls[thread] = self._calls.get(thread, 0) + 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            thread = threading.get_ident()
            left = self._calls.pop(thread, 1) - 1
            if left:
                self._calls[thread] = left
            elif not self._calls:
                self._changed.notify_all()

    def close(self) -> None:
        """Admit no call any more, and return when those under way have ended."""
        with self._changed:
            self._closed = True
            self._calls.pop(threading.get_ident(), None)
            self._changed.wait_for(lambda: not self._calls)
