"""The state that all routes share: engine, batcher, limits, metrics and thread pool."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fer_engine.engine import Engine
from fer_engine.serve.batcher import Batcher, BatchOptions
from fer_engine.serve.limits import Limits, RefusedError
from fer_engine.serve.metrics import Metrics
from fer_engine.serve.v2_protocol import VERSION
from fer_engine.system.cpu import usable_cores

Result = TypeVar("Result")


class Service:
    """One served engine; create it inside the event loop, and `close` it before the engine.

    `min_confidence` is that of `Face.of_prediction`. While `draining` is true the service is not ready, but
    still answers.
    """

    def __init__(
        self, engine: Engine, batching: BatchOptions, limits: Limits, min_confidence: float = 0.0
    ) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.batching = batching
        self.limits = limits
        self.min_confidence = min_confidence
        self.metrics = Metrics()
        self.batcher = Batcher(engine.logits, engine.spec.outputs, batching, limits, self.metrics.observe)
        self.metrics.waiting.set_function(lambda: self.batcher.waiting)
        self.draining = False
        self.connections: Callable[[], int] = lambda: 0  # open ones; set by the server
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="fer-serve")
        self._in_flight = 0
        self.metrics.in_flight.set_function(lambda: self._in_flight)

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request as in flight for the duration of the context, and its time in the statistics.

        Raises:
            RefusedError: too many requests are in flight.
        """
        begun, success = time.perf_counter(), False
        try:
            if self._in_flight >= self.limits.in_flight:
                raise RefusedError(429, f"{self._in_flight} requests are being served; try again", retry=True)
            self._in_flight += 1
            try:
                yield
            finally:
                self._in_flight -= 1
            success = True
        finally:
            self.metrics.served(time.perf_counter() - begun, success=success)

    def check_model(self, name: str, version: str = VERSION) -> None:
        """Check that the model of a request is the one that is served.

        Raises:
            RefusedError: it is another.
        """
        if (name, version) != (self.spec.name, VERSION):
            raise RefusedError(
                404,
                f"there is no model {name[:40]!r} of version {version[:40]!r}; "
                f"{self.spec.name!r} of version {VERSION!r} is served",
            )

    def check_ready(self) -> None:
        """Check that the service takes more requests for long.

        Raises:
            RefusedError: it is draining.
        """
        if self.draining:
            raise RefusedError(503, "the server is about to end")

    def deadline(self) -> float:
        """Return by when a request that was received now must be answered, in the event loop's time."""
        return asyncio.get_running_loop().time() + self.limits.request_seconds

    async def in_pool(self, work: Callable[[], Result], deadline: float) -> Result:
        """Run blocking work in a thread of the pool.

        Raises:
            RefusedError: the deadline has passed; the work still runs to its end.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work)
        try:
            return await asyncio.wait_for(future, deadline - loop.time())
        except (asyncio.TimeoutError, TimeoutError):
            raise self.limits.late() from None

    def close(self) -> None:
        """Finish running work, drop waiting work, and end the threads."""
        self.batcher.stop()
        self._pool.shutdown(cancel_futures=True)
