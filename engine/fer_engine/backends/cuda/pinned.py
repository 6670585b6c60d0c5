"""Pinned host memory as an array."""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.backends.cuda.protocol import Cuda


def pinned_array(
    cuda: Cuda, shape: tuple[int, ...], kind: type[np.generic], owned: ExitStack
) -> NDArray[Any]:
    """Return an array in pinned memory, which is given back when `owned` is closed; not an empty one."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    address = cuda.allocate_pinned(size)
    owned.callback(cuda.free_pinned, address)
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return memory.view(kind).reshape(shape)
