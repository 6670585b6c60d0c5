"""A bounded queue between two threads that can be finished by one and given up by the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar


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


T = TypeVar("T")
# On Windows a thread that waits for a lock does not see Ctrl-C before the wait ends.
INTERRUPT_SECONDS = 0.5


class Closed(Exception):  # noqa: N818 - the end of the work, no error
    """Nothing more comes, or nobody takes it."""


class Channel(Generic[T]):
    """At most `size` items on their way from a thread that puts to a thread that gets.

    `queue.Queue` has no end before Python 3.13: a thread that waits in it cannot be woken.
    """

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._changed = threading.Condition()
        self._open = True
        self._error: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether `put` would wait."""
        return len(self._items) >= self._size

    def put(self, item: T) -> None:
        """Append an item, and wait while there are too many.

        Raises:
            Closed: the channel was given up.
        """
        with self._changed:
            self._wait_for(lambda: not (self._open and self.full))
            if not self._open:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the next item, and wait for it.

        Raises:
            Closed: all were taken and there is no more to come.
            BaseException: instead of that, the error that `finish` was given.
        """
        with self._changed:
            self._wait_for(lambda: bool(self._items) or not self._open)
            if self._items:
                return self._take()
            raise self._error or Closed

    def get_if(self, wanted: Callable[[T], bool]) -> T | None:
        """Take the next item if there is one and it is wanted; never wait."""
        with self._changed:
            return self._take() if self._items and wanted(self._items[0]) else None

    def finish(self, error: BaseException | None = None) -> None:
        """Say that no more comes: who gets takes what is there, then sees `error`, or Closed."""
        with self._changed:
            if self._open:
                self._open, self._error = False, error
                self._changed.notify_all()

    def give_up(self) -> None:
        """Throw away what is there; who puts or gets sees Closed."""
        with self._changed:
            self._open, self._error = False, None
            self._items.clear()
            self._changed.notify_all()

    def _wait_for(self, change: Callable[[], bool]) -> None:
        while not self._changed.wait_for(change, INTERRUPT_SECONDS):
            pass

    def _take(self) -> T:
        item = self._items.popleft()
        self._changed.notify_all()
        return item
