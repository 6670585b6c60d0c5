"""A stand-in for the module `pycuda.driver`, over the simulated device."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from simulated.cudart import SimulatedCudart


class SimulatedPycuda:
    """What the engine uses of PyCUDA; `current` is the context of the one thread there is."""

    class Error(Exception):
        pass

    def __init__(self, device: SimulatedCudart) -> None:
        self.device = device
        self.current: object | None = object()
        self.Context = SimpleNamespace(
            get_current=lambda: self.current,
            get_device=lambda: SimpleNamespace(
                name=lambda: "Simulated GPU", compute_capability=lambda: (8, 9)
            ),
        )

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

    def Stream(self, flags):  # noqa: N802
        return Stream(self, self.call("cudaStreamCreateWithFlags", flags))

    def memcpy_htod_async(self, dest, src, stream):
        kind = self.device.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", dest, src.ctypes.data, src.nbytes, kind, stream.handle)

    def memcpy_dtoh_async(self, dest, src, stream):
        kind = self.device.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", dest.ctypes.data, src, dest.nbytes, kind, stream.handle)

    def call(self, name, *arguments):
        status, value = getattr(self.device, name)(*arguments)
        if status:
            raise self.Error(f"{name} failed: {self.device.cudaGetErrorString(status)[1].decode()}")
        return value


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

    def __del__(self):
        self._driver.call("cudaStreamDestroy", self.handle)
