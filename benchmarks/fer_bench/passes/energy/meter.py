"""What measures energy, and a worker whose turns are measured."""

from __future__ import annotations

from typing import Any, Protocol

from fer_bench.contenders.worker_client import Asked


class Meter(Protocol):
    """Measures one stretch of time after another."""

    def start(self) -> None: ...

    def stop(self) -> float:
        """Return the joules since `start`."""
        ...


class Metered:
    """A worker whose turns are metered; it answers as the worker does, which may be metered itself."""

    def __init__(self, worker: Asked, meter: Meter | None) -> None:
        self._worker = worker
        self._meter = meter
        self._joules = 0.0
        self._images = 0

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        if self._meter is None or do != "turn":
            return self._worker.ask(do, **arguments)
        self._meter.start()
        try:
            reply = self._worker.ask(do, **arguments)
        finally:
            joules = self._meter.stop()
        self._joules += joules
        calls = arguments["warmup_calls"] + len(reply["samples_ns"])
        self._images += calls * arguments["batch"]
        return reply

    def joules_an_image(self) -> float | None:
        return self._joules / self._images if self._images else None
