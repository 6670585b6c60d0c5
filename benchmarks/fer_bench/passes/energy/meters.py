"""All meters of a benchmark, and what the record has of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fer_bench.contenders.worker_client import Asked
from fer_bench.passes.energy import nvml, rapl
from fer_bench.passes.energy.meter import Metered


class Meters:
    """The meter of the CPU and, where the engine runs on a GPU, of that."""

    def __init__(self, device: str) -> None:
        self._cpu, self._cpu_source = rapl.find_meter()
        self._gpu = None if device == "cpu" else nvml.find_gpu(device)
        self._by_cpu: dict[str, Metered] = {}
        self._by_gpu: dict[str, Metered] = {}

    @property
    def gpu(self) -> str:
        """What the record's environment says of the GPU."""
        if self._gpu is None:
            return "not measured"
        return self._gpu.name or "name not available"

    def metered(self, workers: Mapping[str, Asked], on_gpu: Collection[str]) -> dict[str, Metered]:
        """Return the workers, metered; those `on_gpu` by the GPU's meter too."""
        self._by_cpu = {name: Metered(worker, self._cpu) for name, worker in workers.items()}
        if self._gpu is not None:
            self._by_gpu = {name: Metered(self._by_cpu[name], self._gpu.meter) for name in on_gpu}
        return self._by_cpu | self._by_gpu

    def to_json(self) -> dict[str, Any]:
        """Return the joules an image of each worker, None where they are not known, and by what meter."""
        found = {"energy": _joules(self._by_cpu), "energy_source": self._cpu_source}
        if self._gpu is not None:
            found |= {"gpu_energy": _joules(self._by_gpu), "gpu_energy_source": self._gpu.source}
        return found


def _joules(workers: Mapping[str, Metered]) -> dict[str, float | None]:
    return {name: worker.joules_an_image() for name, worker in workers.items()}
