"""A tensor twice: in pinned host memory, as an array, and on the device."""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.backends.cuda.protocol import Cuda


class Buffers:
    """A tensor of a fixed shape at fixed addresses, until `owned` is closed."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], kind: type[np.generic], owned: ExitStack) -> None:
        self._cuda = cuda
        self._size = math.prod(shape) * np.dtype(kind).itemsize
        self.device = cuda.allocate(self._size)
        owned.callback(cuda.free, self.device)
        self._pinned = cuda.allocate_pinned(self._size)
        owned.callback(cuda.free_pinned, self._pinned)
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * self._size).from_address(self._pinned))
        self.host: NDArray[Any] = memory.view(kind).reshape(shape)
        self.host.fill(0)

    def upload(self, stream: int) -> None:
        """Copy from the host to the device when the stream gets there."""
        self._cuda.upload(self.device, self._pinned, self._size, stream)

    def download(self, stream: int) -> None:
        """Copy from the device to the host when the stream gets there."""
        self._cuda.download(self._pinned, self.device, self._size, stream)
