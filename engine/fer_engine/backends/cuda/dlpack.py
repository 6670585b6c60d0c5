"""DLPack: how array libraries lend each other memory on a device.

The structures are those of `dlpack.h` before version 1 (https://dmlc.github.io/dlpack/latest/c_api.html),
which every library still writes and reads where nobody asks for more.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

CPU, CUDA = 1, 2  # DLDeviceType
UNUSED = b"dltensor"  # name of a capsule that nobody has taken over
KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}  # DLDataTypeCode

# A prototype of our own: other libraries may set other types on the one that ctypes shares.
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class _Tensor(ctypes.Structure):
    """DLTensor, and with it the beginning of DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_index", ctypes.c_int32),
        ("dimensions", ctypes.c_int32),
        ("kind", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a capsule says; `strides` counts elements, None where they lie one after the other."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: str


def read(capsule: object) -> Tensor:
    """Return what a capsule says. It stays untaken: the memory is lent for as long as it is kept.

    Raises:
        ValueError: it is no capsule of DLPack, or one that somebody has taken over.
    """
    tensor = _tensor(capsule)
    strides = tensor.strides[: tensor.dimensions] if tensor.strides else None
    lanes = f"x{tensor.lanes}" if tensor.lanes != 1 else ""
    return Tensor(
        (tensor.data or 0) + tensor.byte_offset,
        tuple(tensor.shape[: tensor.dimensions]),
        None if strides is None else tuple(strides),
        f"{KINDS.get(tensor.kind, f'kind {tensor.kind} of ')}{tensor.bits}{lanes}",
    )


def lend(address: int, shape: tuple[int, ...], device: tuple[int, int], owner: object) -> object:
    """Return a capsule of float32 memory, which keeps `owner` alive until the borrower gives it back.

    `device` is a pair of DLDeviceType and index.

    What gives memory back runs in any thread, with an exception under way or at the interpreter's end,
    where code in Python cannot run. So NumPy's, which is in C, does it: it lends the memory as that of an
    array, without looking at it, and then the device is put right.
    """
    capsule = np.asarray(_Lent(address, shape, owner)).__dlpack__()
    tensor = _tensor(capsule)
    tensor.device_type, tensor.device_index = device
    return capsule


class _Lent:
    """Memory as NumPy takes it; `owner` lives as long as NumPy's array."""

    def __init__(self, address: int, shape: tuple[int, ...], owner: object) -> None:
        self.owner = owner
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "shape": shape,
            "typestr": np.dtype(np.float32).str,
            "data": (address, False),
        }


def _tensor(capsule: object) -> _Tensor:
    return _Tensor.from_address(_pointer(capsule, UNUSED))
