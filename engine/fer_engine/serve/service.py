"""What the routes share: the engine behind its batcher, limits, counts, and whether it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fer_engine.engine import Engine
from fer_engine.serve.batcher import Batcher, BatchOptions
from fer_engine.serve.limits import Limits, RefusedError
from fer_engine.serve.metrics import Metrics
from fer_engine.system.cpu import usable_cores

Result = TypeVar("Result")


class Service:
    """One engine, served; make it inside the event loop, and `close` it before the engine.

    Once `draining` is true the service is not ready any more, but still answers.
    """

    def __init__(self, engine: Engine, batching: BatchOptions, limits: Limits) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.limits = limits
        self.metrics = Metrics()
        self.batcher = Batcher(engine.logits, len(engine.spec.labels), batching, limits, self.metrics.observe)
        self.metrics.waiting.set_function(lambda: self.batcher.waiting)
        self.draining = False
        self.connections: Callable[[], int] = lambda: 0  # open ones; set by the server
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="fer-serve")
        self._in_flight = 0
        self.metrics.in_flight.set_function(lambda: self._in_flight)

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request while it is served.

        Raises:
            RefusedError: too many are.
        """
        if self._in_flight >= self.limits.in_flight:
            raise RefusedError(429, f"{self._in_flight} requests are being served; try again", retry=True)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def deadline(self) -> float:
        """Return when a request that is in now must be through, in the event loop's time."""
        return asyncio.get_running_loop().time() + self.limits.request_seconds

    async def in_pool(self, work: Callable[[], Result], deadline: float) -> Result:
        """Run work that would hold up the event loop in a thread.

        Raises:
            RefusedError: it was not through by the deadline; it ends by itself.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work)
        try:
            return await asyncio.wait_for(future, deadline - loop.time())
        except (asyncio.TimeoutError, TimeoutError):
            raise self.limits.late() from None

    def close(self) -> None:
        """Finish the work that is under way, drop what waits, and end the threads."""
        self.batcher.stop()
        self._pool.shutdown(cancel_futures=True)
