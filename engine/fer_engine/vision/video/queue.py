"""What bounds the frames in memory: a queue between two threads, and a budget of bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
# On Windows a thread that waits for a lock sees Ctrl-C only once the wait ends.
INTERRUPT_SECONDS = 0.5


class Closed(Exception):  # noqa: N818 - the end of the work, no error
    """The queue or the budget was closed: nothing more comes, or nothing more is taken."""


class _Waiter:
    """A condition that threads wait for, until it is met or the object is closed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_open = True

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        while not self._changed.wait_for(lambda: not self._is_open or condition(), INTERRUPT_SECONDS):
            pass


class ByteBudget(_Waiter):
    """At most `size` bytes in use at once; something larger is let in when nothing else is in use."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._used = 0

    def fits(self, size: int) -> bool:
        """Whether `acquire` would not wait."""
        return self._used == 0 or self._used + size <= self._size

    def acquire(self, size: int) -> None:
        """Reserve bytes, and wait until they are free.

        Raises:
            Closed: `close` was called.
        """
        with self._changed:
            self._wait_for(lambda: self.fits(size))
            if not self._is_open:
                raise Closed
            self._used += size

    def release(self, size: int) -> None:
        """Give back bytes that were acquired."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Let nothing in any more: every `acquire` raises Closed."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()


class Channel(_Waiter, Generic[T]):
    """A queue of at most `size` items, which the putting thread can finish and either side can cancel.

    `queue.Queue` cannot be closed before Python 3.13: a thread that waits in it would wait for ever.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._items: deque[T] = deque()
        self._size = size
        self._error: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether `put` would wait."""
        return len(self._items) >= self._size

    def put(self, item: T) -> None:
        """Append an item, and wait while the channel is full.

        Raises:
            Closed: `finish` or `cancel` was called.
        """
        with self._changed:
            self._wait_for(lambda: not self.full)
            if not self._is_open:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the next item, and wait for it.

        Raises:
            Closed: all items were taken and no more will come.
            BaseException: the error that was given to `finish`, in place of Closed.
        """
        with self._changed:
            self._wait_for(lambda: bool(self._items))
            if self._items:
                return self._take()
            raise self._error or Closed

    def get_if(self, wanted: Callable[[T], bool]) -> T | None:
        """Take the next item if there is one and `wanted` accepts it; never wait."""
        with self._changed:
            return self._take() if self._items and wanted(self._items[0]) else None

    def finish(self, error: BaseException | None = None) -> None:
        """Let no more in: `get` returns the items that are there, then raises `error`, or Closed."""
        with self._changed:
            if self._is_open:
                self._is_open, self._error = False, error
                self._changed.notify_all()

    def cancel(self) -> None:
        """Drop the items: every `put` and `get` raises Closed."""
        with self._changed:
            self._is_open, self._error = False, None
            self._items.clear()
            self._changed.notify_all()

    def _take(self) -> T:
        item = self._items.popleft()
        self._changed.notify_all()
        return item
