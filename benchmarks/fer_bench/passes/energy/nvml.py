"""Energy of an NVIDIA GPU, by NVML (the package nvidia-ml-py, module pynvml).

A GPU of the Volta generation (2017) or a later one counts the millijoules that it has used
(`nvmlDeviceGetTotalEnergyConsumption`). The counter is of the whole board: idle power, memory and other
processes are part of the figure. Source: NVIDIA, "NVML API Reference Guide", device queries.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from fer_engine.backends.cuda.devices import CUDA
from fer_engine.errors import BackendError

ORDER, VISIBLE = "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"


class Gpu(NamedTuple):
    """What is known of a GPU.

    `name` and `meter` are None where they cannot be had. `source` says what the meter reads, or why
    there is none.
    """

    name: str | None
    meter: EnergyCounter | None
    source: str


class EnergyCounter:
    """The energy counter of a GPU; `handle` is what `nvml` calls the GPU.

    Raises:
        BackendError: it cannot be read, now or during a measurement.
    """

    def __init__(self, nvml: Any, handle: object) -> None:
        self._nvml, self._handle = nvml, handle
        self._began = self._read()

    def start(self) -> None:
        self._began = self._read()

    def stop(self) -> float:
        return (self._read() - self._began) / 1e3

    def _read(self) -> int:
        """Return the millijoules since the driver was loaded."""
        try:
            value: int = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except self._nvml.NVMLError as error:
            raise BackendError(
                f"nvmlDeviceGetTotalEnergyConsumption failed during the measurement: {error}; run it again"
            ) from error
        return value


def find_gpu(device: str) -> Gpu:
    """Return the GPU that "cuda" or "cuda:1" names, as far as NVML tells."""
    try:
        import pynvml
    except ImportError as error:
        return Gpu(None, None, f"not available: {error}; install it with: pip install nvidia-ml-py")
    name = None
    try:
        pynvml.nvmlInit()
        handle = _handle(pynvml, device)
        name = str(pynvml.nvmlDeviceGetName(handle))
        try:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except pynvml.NVMLError_NotSupported:
            reason = f"{name} has no energy counter, GPUs before Volta (2017) have none"
            return Gpu(name, None, f"not available: {reason}")
    except (pynvml.NVMLError, LookupError) as error:
        return Gpu(name, None, f"not available: {error}")
    meter = EnergyCounter(pynvml, handle)
    return Gpu(name, meter, f"NVML, {name}, its counter of energy, idle power and other processes included")


def _handle(nvml: Any, device: str) -> object:
    """Return NVML's handle of one of CUDA's devices.

    NVML numbers all GPUs by their place on the bus; CUDA those that it is shown, by default the fastest
    first. Where that leaves a doubt, none is guessed.

    Raises:
        LookupError: there is no such GPU, or a doubt about which it is.
        NVMLError: NVML failed.
    """
    match = CUDA.fullmatch(device)
    if match is None:
        raise LookupError(f"{device} names no GPU by its number")
    index, count = int(match[1] or 0), nvml.nvmlDeviceGetCount()
    visible = os.environ.get(VISIBLE)
    shown = [str(number) for number in range(count)] if visible is None else visible.split(",")
    shown = [entry.strip() for entry in shown if entry.strip()]
    if index >= len(shown):
        raise LookupError(f"there is no {device}: CUDA is shown {len(shown)} of {count} GPUs ({VISIBLE})")
    entry = shown[index]
    if not entry.isdigit():  # "GPU-..." or "MIG-..."
        return nvml.nvmlDeviceGetHandleByUUID(entry)
    if count > 1 and os.environ.get(ORDER) != "PCI_BUS_ID":
        raise LookupError(f"CUDA numbers these {count} GPUs in an order of its own; set {ORDER}=PCI_BUS_ID")
    return nvml.nvmlDeviceGetHandleByIndex(int(entry))
