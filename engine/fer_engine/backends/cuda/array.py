"""Results that stay on the device."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import weakref
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fer_engine.backends.cuda import dlpack
from fer_engine.backends.cuda.protocol import LEGACY_STREAM, Cuda
from fer_engine.errors import BackendError

UNORDERED = -1  # DLPack's stream of a consumer that asks for no waiting


@final
class DeviceArray:
    """A float32 array of its own memory on a GPU, which may still be under computation.

    Other libraries take it without a copy: `torch.from_dlpack(array)`, `cupy.from_dlpack(array)`. With
    DLPack their stream waits for the results, not this thread. The CUDA Array Interface waits here, since
    not all libraries heed the stream that it can name.

    The memory is given back when the last that refers to it is dropped. It belongs to no engine: an array
    stays good after its engine is closed.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...]) -> None:
        """Allocate the memory; `mark_ready` says when the results are there."""
        self.shape = shape
        self.dtype = np.dtype(np.float32)
        self._cuda = cuda
        self._size = math.prod(shape) * self.dtype.itemsize
        with contextlib.ExitStack() as owned:
            self.address = cuda.allocate(max(1, self._size))
            owned.callback(cuda.free, self.address)
            self._ready = cuda.create_event()
            owned.callback(cuda.destroy_event, self._ready)
            owned.callback(cuda.synchronize_event, self._ready)  # what still writes comes first
            weakref.finalize(self, _give_back, cuda, os.getpid(), owned.pop_all())

    def mark_ready(self, stream: int) -> None:
        """Let the results count as ready once the stream's work so far is done."""
        self._cuda.record_event(self._ready, stream)

    def numpy(self) -> NDArray[np.float32]:
        """Wait for the results and return a copy in host memory.

        Raises:
            CudaError: CUDA failed.
        """
        if self._size == 0:
            return np.empty(self.shape, self.dtype)
        cuda = self._cuda
        with cuda.active(), contextlib.ExitStack() as owned:
            host = pinned_array(cuda, self.shape, np.float32, owned)
            stream = cuda.create_stream()
            owned.callback(cuda.destroy_stream, stream)
            owned.callback(cuda.synchronize, stream)  # also where the copy below fails half-way
            cuda.wait_event(stream, self._ready)
            cuda.download(host.ctypes.data, self.address, self._size, stream)
            cuda.synchronize(stream)
            return host.copy()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The CUDA Array Interface, version 3; the results are there when this returns."""
        with self._cuda.active():
            self._cuda.synchronize_event(self._ready)
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self._size else 0, False),
            "strides": None,
            "version": 3,
            "stream": None,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's type of CUDA devices and the GPU's index."""
        return dlpack.CUDA, self._cuda.index

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """Return a capsule of DLPack, and have `stream` wait for the results.

        Whatever `max_version` allows, the capsule is of the form before version 1, which all can read.
        See https://data-apis.org/array-api/latest/API_specification/generated/array_api.array.__dlpack__.html.

        Raises:
            BufferError: a copy or another device is asked for, or stream 0, which DLPack leaves open.
            CudaError: CUDA failed.
        """
        device = self.__dlpack_device__()
        if copy or (dl_device is not None and tuple(dl_device) != device):
            raise BufferError(
                f"the array is lent as it is, on device {device} and without a copy; "
                "use numpy() for a copy on the host"
            )
        if stream == 0:
            raise BufferError("stream 0 has no meaning in DLPack; the legacy default stream is 1")
        if stream != UNORDERED:
            with self._cuda.active():
                self._cuda.wait_event(LEGACY_STREAM if stream is None else stream, self._ready)
        return dlpack.lend(self.address, self.shape, device, self)


def _give_back(cuda: Cuda, process: int, owned: contextlib.ExitStack) -> None:
    # Nobody could catch an error here; what ails the device shows in the next call.
    with contextlib.suppress(BackendError):
        release(cuda, process, owned)


def release(cuda: Cuda, process: int, owned: contextlib.ExitStack) -> None:
    """Close `owned`, which holds what the process of that number has on the device."""
    if os.getpid() != process:
        return  # what a forked process inherits is not its own to free
    try:
        with cuda.active():
            owned.close()
    finally:
        owned.close()  # does nothing, unless the device could not be made current


def pinned_array(
    cuda: Cuda, shape: tuple[int, ...], kind: type[np.generic], owned: contextlib.ExitStack
) -> NDArray[Any]:
    """Return an array in pinned memory, which is given back when `owned` is closed; not an empty one."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    address = cuda.allocate_pinned(size)
    owned.callback(cuda.free_pinned, address)
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return memory.view(kind).reshape(shape)
