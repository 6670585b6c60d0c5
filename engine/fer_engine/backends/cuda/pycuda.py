"""CUDA through PyCUDA, for apps that already hold a context of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fer_engine.backends.cuda.protocol import CudaError, Device, Graphs
from fer_engine.errors import BackendError

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, which PyCUDA has no name for


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

    def device(self) -> Device:
        driver = self._driver
        with self._told():
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
        with self._told():
            memory = self._driver.mem_alloc(size)
        self._memory[int(memory)] = memory
        return int(memory)

    def free(self, address: int) -> None:
        with self._told():
            self._memory.pop(address).free()

    def allocate_pinned(self, size: int) -> int:
        with self._told():
            array = self._driver.pagelocked_empty(size, np.uint8)
        self._pinned[array.ctypes.data] = array
        return int(array.ctypes.data)

    def free_pinned(self, address: int) -> None:
        with self._told():
            self._pinned.pop(address).base.free()

    def create_stream(self) -> int:
        with self._told():
            stream = self._driver.Stream(NON_BLOCKING)
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def destroy_stream(self, stream: int) -> None:
        del self._streams[stream]

    def upload(self, device: int, host: int, size: int, stream: int) -> None:
        with self._told():
            self._driver.memcpy_htod_async(device, self._pinned[host][:size], self._streams[stream])

    def download(self, host: int, device: int, size: int, stream: int) -> None:
        with self._told():
            self._driver.memcpy_dtoh_async(self._pinned[host][:size], device, self._streams[stream])

    def synchronize(self, stream: int) -> None:
        with self._told():
            self._streams[stream].synchronize()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise CudaError("PyCUDA", type(error).__name__, str(error)) from error
