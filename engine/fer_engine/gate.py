"""A way in that can be shut for good."""

from __future__ import annotations

import threading

from fer_engine.errors import BackendError


class Gate:
    """Counts the calls under way as a context manager; once closed it lets none in.

    Raises:
        BackendError: on entry, when the gate is closed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
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
