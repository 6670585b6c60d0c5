"""The energy meters of a benchmark, and workers whose turns are measured by them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from fer_bench.contenders.worker_client import SupportsAsk
from fer_bench.passes.energy import nvml, rapl


class Meter(Protocol):
    """Measures one stretch of time after another."""

    def start(self) -> None: ...

    def stop(self) -> float:
        """Return the joules since `start`."""
        ...


class Metered:
    """A worker whose turns are metered. It answers as the worker does, and can be metered again."""

    def __init__(self, worker: SupportsAsk, meter: Meter | None) -> None:
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


class Meters:
    """The meter of the CPU and, where the engine runs on a GPU, of that."""

    def __init__(self, device: str) -> None:
        self._cpu, self._cpu_source = rapl.find_cpu_meter()
        self._gpu = None if device == "cpu" else nvml.find_gpu(device)
        self._by_cpu: dict[str, Metered] = {}
        self._by_gpu: dict[str, Metered] = {}

    @property
    def gpu(self) -> str:
        """What the record's environment says of the GPU."""
        if self._gpu is None:
            return "not measured"
        return self._gpu.name or "name not available"

    def metered(self, workers: Mapping[str, SupportsAsk], on_gpu: Collection[str]) -> dict[str, Metered]:
        """Return the workers, metered; those `on_gpu` by the GPU's meter too."""
        self._by_cpu = {name: Metered(worker, self._cpu) for name, worker in workers.items()}
        if self._gpu is not None:
            self._by_gpu = {name: Metered(self._by_cpu[name], self._gpu.meter) for name in on_gpu}
        return self._by_cpu | self._by_gpu

    def joules_by_cpu(self) -> tuple[dict[str, float | None], str]:
        """Return each worker's joules an image, None where they are not known, and by what meter."""
        return _joules(self._by_cpu), self._cpu_source

    def joules_by_gpu(self) -> tuple[dict[str, float | None] | None, str | None]:
        """Return the same for the GPU, or None and None where the engine runs on the CPU."""
        return (None, None) if self._gpu is None else (_joules(self._by_gpu), self._gpu.source)


def _joules(workers: Mapping[str, Metered]) -> dict[str, float | None]:
    return {name: worker.joules_an_image() for name, worker in workers.items()}
