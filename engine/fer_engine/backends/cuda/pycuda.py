"""CUDA through PyCUDA, for apps that already hold a context of it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fer_engine.backends.cuda.protocol import LEGACY_STREAM, CudaError, Device, Graphs
from fer_engine.errors import BackendError

# Flags that PyCUDA has no name for.
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING


class PyCuda:
    """The device of the calling thread's current context; `driver` is the module `pycuda.driver`.

    The context stays the app's: it is neither made, pushed nor popped here, so every thread that uses
    the engine must have it current. PyCUDA has no CUDA graphs.

    Raises:
        BackendError: no context is current.
    """

    graphs: Graphs | None = None

    def __init__(self, driver: Any, version: str) -> None:
        self._driver = driver
        self._context = driver.Context.get_current()
        if self._context is None:
            raise BackendError(
                "device 'pycuda' needs a current PyCUDA context; make one, for instance with "
                "'import pycuda.autoprimaryctx', or use device='cuda'"
            )
        self.library = f"PyCUDA {version}"
        # PyCUDA frees what nobody refers to, so what is lent out as a number is kept here.
        self._memory: dict[int, Any] = {}
        self._pinned: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}
        self._numbers = itertools.count(1)  # PyCUDA's events have no handle
        with self._cuda_errors():
            here = driver.Context.get_device()
            self.index = next(index for index in range(driver.Device.count()) if driver.Device(index) == here)

    def device(self) -> Device:
        driver = self._driver
        with self._cuda_errors():
            device = driver.Context.get_device()
            major, minor = device.compute_capability()
            version = driver.get_driver_version()
            return Device(device.name(), f"{major}.{minor}", f"{version // 1000}.{version % 1000 // 10}")

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        if self._driver.Context.get_current() != self._context:
            raise BackendError(
                "the PyCUDA context that the engine was loaded in is not current in this thread; "
                "push it before each call and pop it after, or use device='cuda'"
            )
        yield

    def allocate(self, size: int) -> int:
        with self._cuda_errors():
            memory = self._driver.mem_alloc(size)
        self._memory[int(memory)] = memory
        return int(memory)

    def free(self, address: int) -> None:
        with self._cuda_errors():
            self._memory.pop(address).free()

    def allocate_pinned(self, size: int) -> int:
        with self._cuda_errors():
            array = self._driver.pagelocked_empty(size, np.uint8)
        self._pinned[array.ctypes.data] = array
        return int(array.ctypes.data)

    def free_pinned(self, address: int) -> None:
        with self._cuda_errors():
            self._pinned.pop(address).base.free()

    def create_stream(self) -> int:
        with self._cuda_errors():
            stream = self._driver.Stream(NON_BLOCKING)
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def destroy_stream(self, stream: int) -> None:
        del self._streams[stream]

    def upload(self, device: int, host: int, size: int, stream: int) -> None:
        with self._cuda_errors():
            self._driver.memcpy_htod_async(device, self._pinned[host][:size], self._streams[stream])

    def download(self, host: int, device: int, size: int, stream: int) -> None:
        with self._cuda_errors():
            self._driver.memcpy_dtoh_async(self._pinned[host][:size], device, self._streams[stream])

    def copy(self, to: int, of: int, size: int, stream: int) -> None:
        with self._cuda_errors():
            self._driver.memcpy_dtod_async(to, of, size, self._streams[stream])

    def owns(self, address: int) -> bool:
        with self._cuda_errors():
            try:
                self._driver.mem_get_address_range(address)
            except self._driver.LogicError:
                return False
            return True

    def synchronize(self, stream: int) -> None:
        with self._cuda_errors():
            self._streams[stream].synchronize()

    def create_event(self) -> int:
        with self._cuda_errors():
            event = self._driver.Event(DISABLE_TIMING)
        number = next(self._numbers)
        self._events[number] = event
        return number

    def destroy_event(self, event: int) -> None:
        del self._events[event]

    def record_event(self, event: int, stream: int) -> None:
        with self._cuda_errors():
            if stream not in self._streams and stream != LEGACY_STREAM:
                self._driver.Context.synchronize()  # PyCUDA cannot name a stream of others
            self._events[event].record(self._streams.get(stream))

    def wait_event(self, stream: int, event: int) -> None:
        with self._cuda_errors():
            if stream in self._streams:
                self._streams[stream].wait_for_event(self._events[event])
            else:
                self._events[event].synchronize()

    def synchronize_event(self, event: int) -> None:
        with self._cuda_errors():
            self._events[event].synchronize()

    @contextlib.contextmanager
    def _cuda_errors(self) -> Iterator[None]:
        """Raise an error of PyCUDA as a CudaError."""
        try:
            yield
        except self._driver.Error as error:
            raise CudaError("PyCUDA", type(error).__name__, str(error)) from error
