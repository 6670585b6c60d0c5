"""Energy of an NVIDIA GPU, by NVML (the package nvidia-ml-py, module pynvml).

From Volta on a GPU counts its millijoules (`nvmlDeviceGetTotalEnergyConsumption`). An older one tells
only the milliwatts of the moment (`nvmlDeviceGetPowerUsage`), which are summed up over time here. Both
are of the whole board: idle power, its memory and other processes are part of the figure.
Source: NVIDIA, "NVML API Reference Guide", device queries.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fer_engine.backends.cuda.devices import CUDA
from fer_engine.errors import BackendError

if TYPE_CHECKING:
    from fer_bench.passes.energy.meter import Meter

INTERVAL = 0.02  # seconds between two looks at the power: some dozen in a turn
ORDER, VISIBLE = "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"


class Gpu(NamedTuple):
    """What is known of a GPU: its name, and its meter or None; `source` says what that is, or why not."""

    name: str | None
    meter: Meter | None
    source: str


class EnergyCounter:
    """A GPU that counts its energy; `millijoules` reads the counter."""

    def __init__(self, millijoules: Callable[[], int]) -> None:
        self._read = millijoules
        self._began = millijoules()

    def start(self) -> None:
        self._began = self._read()

    def stop(self) -> float:
        return (self._read() - self._began) / 1e3


class PowerIntegral:
    """A GPU that tells its power, which `milliwatts` reads.

    A thread looks every `INTERVAL`, and trapezoids between the looks make energy of them.
    """

    def __init__(self, milliwatts: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> None:
        self._read = milliwatts
        self._clock = clock
        self._look()

    def start(self) -> None:
        self._looks = [self._look()]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gpu-power", daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        looks = [*self._looks, self._look()]
        return sum(
            (after - before) * (was + now) / 2 for (before, was), (after, now) in itertools.pairwise(looks)
        )

    def _look(self) -> tuple[float, float]:
        """Return the time in seconds and the power in watts."""
        return self._clock(), self._read() / 1e3

    def _watch(self) -> None:
        with contextlib.suppress(BackendError):  # `stop` looks once more, and will say what is wrong
            while not self._ended.wait(INTERVAL):
                self._looks.append(self._look())


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
            pynvml.nvmlDeviceGetPowerUsage(handle)
            meter: Meter = PowerIntegral(_reader(pynvml, "nvmlDeviceGetPowerUsage", handle))
            how = f"its power, looked at every {1e3 * INTERVAL:g} ms"
        else:
            meter = EnergyCounter(_reader(pynvml, "nvmlDeviceGetTotalEnergyConsumption", handle))
            how = "its counter of energy"
    except (pynvml.NVMLError, LookupError) as error:
        return Gpu(name, None, f"not available: {error}")
    return Gpu(name, meter, f"NVML, {name}, {how}, idle power and other processes included")


def _reader(nvml: Any, function: str, handle: object) -> Callable[[], int]:
    """Return what calls a function of NVML for a GPU; it raises a BackendError where that fails."""

    def read() -> int:
        try:
            value: int = getattr(nvml, function)(handle)
        except nvml.NVMLError as error:
            raise BackendError(f"{function} failed during the measurement: {error}; run it again") from error
        return value

    return read


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
