"""A bound on the memory of all that is under way between threads."""

from __future__ import annotations

import threading

from fer_engine.vision.channel import INTERRUPT_SECONDS, Closed


class Room:
    """At most `size` bytes at once; what is larger than that finds room alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()
        self._open = True

    def has(self, size: int) -> bool:
        """Whether `take` would not wait."""
        return self._taken == 0 or self._taken + size <= self._size

    def take(self, size: int) -> None:
        """Take so many bytes, and wait until there is room for them.

        Raises:
            Closed: the room was given up.
        """
        with self._changed:
            while not self._changed.wait_for(lambda: not self._open or self.has(size), INTERRUPT_SECONDS):
                pass
            if not self._open:
                raise Closed
            self._taken += size

    def free(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    def give_up(self) -> None:
        """Let nothing in any more; who waits sees Closed."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
