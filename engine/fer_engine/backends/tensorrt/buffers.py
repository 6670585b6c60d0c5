"""A tensor twice: in pinned host memory, as an array, and on the device."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.backends.cuda.pinned import pinned_array
from fer_engine.backends.cuda.protocol import Cuda


class Buffers:
    """A tensor of a fixed shape at fixed addresses, until `owned` is closed.

    `row_size` is the bytes of one entry of a batch.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], kind: type[np.generic], owned: ExitStack) -> None:
        self._cuda = cuda
        self.row_size = math.prod(shape[1:]) * np.dtype(kind).itemsize
        self._size = shape[0] * self.row_size
        self.device = cuda.allocate(self._size)
        owned.callback(cuda.free, self.device)
        self.host: NDArray[Any] = pinned_array(cuda, shape, kind, owned)
        self.host.fill(0)
        self._pinned = self.host.ctypes.data

    def upload(self, stream: int) -> None:
        """Copy from the host to the device when the stream gets there."""
        self._cuda.upload(self.device, self._pinned, self._size, stream)

    def download(self, stream: int) -> None:
        """Copy from the device to the host when the stream gets there."""
        self._cuda.download(self._pinned, self.device, self._size, stream)
