"""A stand-in for the module `pycuda.driver`, over the simulated device."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from simulated.cudart import LEGACY, SimulatedCudart


class SimulatedPycuda:
    """What the engine uses of PyCUDA; `current` is the context of the one thread there is."""

    class Error(Exception):
        pass

    class LogicError(Error):
        pass

    def __init__(self, device: SimulatedCudart) -> None:
        self.device = device
        self.current: object | None = object()
        self.Device = Device
        self.Context = SimpleNamespace(
            get_current=lambda: self.current,
            get_device=lambda: Device(0),
            synchronize=self._synchronize,
        )

    def _synchronize(self):
        for stream in (*self.device.default_streams, *self.device.streams):
            self.call("cudaStreamSynchronize", stream)

    def get_driver_version(self):
        return 13000

    def mem_alloc(self, size):
        return Allocation(self, self.call("cudaMalloc", size), "cudaFree")

    def pagelocked_empty(self, shape, dtype):
        allocation = Allocation(self, self.call("cudaHostAlloc", shape, 0), "cudaFreeHost")
        array = self.device.pinned.at(int(allocation), shape).view(PinnedArray)
        array.allocation = allocation
        assert array.dtype == dtype
        return array

    def mem_get_address_range(self, address):
        if self.device.device_memory.start_of(address) is None:
            raise self.LogicError("cuMemGetAddressRange failed: invalid argument")

    def Stream(self, flags):  # noqa: N802
        return Stream(self, self.call("cudaStreamCreateWithFlags", flags))

    def memcpy_htod_async(self, dest, src, stream):
        kind = self.device.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", dest, src.ctypes.data, src.nbytes, kind, stream.handle)

    def memcpy_dtoh_async(self, dest, src, stream):
        kind = self.device.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", dest.ctypes.data, src, dest.nbytes, kind, stream.handle)

    def memcpy_dtod_async(self, dest, src, size, stream):
        kind = self.device.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self.call("cudaMemcpyAsync", dest, src, size, kind, stream.handle)

    def Event(self, flags):  # noqa: N802
        return Event(self, self.call("cudaEventCreateWithFlags", flags))

    def call(self, name, *arguments):
        status, value = getattr(self.device, name)(*arguments)
        if status:
            raise self.Error(f"{name} failed: {self.device.cudaGetErrorString(status)[1].decode()}")
        return value


class Device:
    """A GPU; as in PyCUDA, two that are made for the same one are equal."""

    def __init__(self, index):
        self._index = index

    def __eq__(self, other):
        return self._index == other._index

    __hash__ = None

    @staticmethod
    def count():
        return 2

    def name(self):
        return "Simulated GPU"

    def compute_capability(self):
        return (8, 9)


class Allocation:
    def __init__(self, driver, address, release):
        self._driver, self._address, self._release = driver, address, release

    def __int__(self):
        return self._address

    def free(self):
        self._driver.call(self._release, self._address)


class PinnedArray(np.ndarray):
    """An array whose base, as in PyCUDA, is what frees it."""

    allocation = None

    @property
    def base(self):
        return self.allocation


class Stream:
    def __init__(self, driver, handle):
        self._driver, self.handle = driver, handle

    def synchronize(self):
        self._driver.call("cudaStreamSynchronize", self.handle)

    def wait_for_event(self, event):
        self._driver.call("cudaStreamWaitEvent", self.handle, event.handle, 0)

    def __del__(self):
        self._driver.call("cudaStreamDestroy", self.handle)


class Event:
    def __init__(self, driver, handle):
        self._driver, self.handle = driver, handle

    def record(self, stream=None):
        self._driver.call("cudaEventRecord", self.handle, LEGACY if stream is None else stream.handle)

    def synchronize(self):
        self._driver.call("cudaEventSynchronize", self.handle)

    def __del__(self):
        self._driver.call("cudaEventDestroy", self.handle)
