"""Arrays on the device that belong to other libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_engine.backends.cuda import dlpack
from fer_engine.backends.cuda.protocol import LEGACY_STREAM, Cuda
from fer_engine.errors import InputError


@dataclass(frozen=True, slots=True)
class ExternalArray:
    """C-contiguous memory on the device; it is lent for as long as `owner` is kept."""

    address: int
    shape: tuple[int, ...]
    dtype: str
    owner: object


def acquire(array: Any, cuda: Cuda, stream: int, event: int) -> ExternalArray:
    """Borrow an array of another library, and have the stream wait until its contents are there.

    With DLPack the library itself makes the stream wait. The CUDA Array Interface names the stream that
    the contents come from, which `event` is used to wait for; where it names none, that is taken to be
    the legacy default stream.

    Raises:
        InputError: it is no array on this device, or its elements do not lie one after the other.
        CudaError: CUDA failed.
    """
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        found, strides = _from_dlpack(array, cuda, stream)
    elif (interface := getattr(array, "__cuda_array_interface__", None)) is not None:
        found, strides, producer = _from_interface(array, interface, cuda)
        cuda.record_event(event, producer)
        cuda.wait_event(stream, event)
    else:
        raise InputError(
            "faces must be an array on the GPU, with __dlpack__ or __cuda_array_interface__, got "
            f"{type(array).__name__}; use logits(faces) for numpy arrays"
        )
    if strides is not None and not _is_contiguous(found.shape, strides):
        raise InputError(
            f"faces must be C-contiguous, got shape {list(found.shape)} with strides {list(strides)}; make "
            "a contiguous copy, as with faces.contiguous() in PyTorch or cupy.ascontiguousarray(faces)"
        )
    return found


def check_device_faces(faces: ExternalArray, face_shape: tuple[int, ...]) -> None:
    """Check faces on the device against the model: uint8 [n, *face_shape], any n.

    Raises:
        InputError: they have another type, rank or size.
    """
    if faces.dtype != "uint8":
        raise InputError(
            f"faces must be uint8 pixels from 0 to 255, got {faces.dtype}; convert them on the GPU, as with "
            "faces.clip(0, 255).to(torch.uint8) in PyTorch"
        )
    if len(faces.shape) == 0 or faces.shape[1:] != face_shape:
        wanted = ", ".join(map(str, face_shape))
        raise InputError(
            f"faces must have the shape [n, {wanted}], got {list(faces.shape)}; give one face "
            "as faces[None], and resize faces of another size"
        )


def _from_dlpack(array: Any, cuda: Cuda, stream: int) -> tuple[ExternalArray, tuple[int, ...] | None]:
    """Return the array and its strides in elements."""
    kind, index = map(int, array.__dlpack_device__())
    if kind == dlpack.CPU:
        raise InputError(
            "faces must lie in the memory of a GPU, got an array in that of the host; "
            "use logits(faces) for numpy arrays"
        )
    if kind != dlpack.CUDA:
        raise InputError(
            f"faces must lie in device memory of CUDA, DLPack's type {dlpack.CUDA}, got type {kind}; "
            "copy them there"
        )
    if index != cuda.index:
        raise _other_device(f"cuda:{index}", cuda)
    try:
        capsule = array.__dlpack__(stream=stream)
        tensor = dlpack.read(capsule)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"faces cannot be lent by {type(array).__name__} through DLPack ({error}); give a plain copy"
        ) from error
    return ExternalArray(tensor.address, tensor.shape, tensor.dtype, capsule), tensor.strides


def _from_interface(
    array: Any, interface: Any, cuda: Cuda
) -> tuple[ExternalArray, tuple[int, ...] | None, int]:
    """Return the array, its strides in elements, and the stream that its contents come from."""
    try:
        shape, dtype = tuple(map(int, interface["shape"])), np.dtype(interface["typestr"])
        address, strides = int(interface["data"][0]), interface.get("strides")
        if strides is not None:
            pairs = zip(strides, shape, strict=True)  # as many strides as sizes
            strides = tuple(int(stride) // dtype.itemsize for stride, _ in pairs)  # exact for bytes
        producer = int(interface.get("stream") or LEGACY_STREAM)
        masked = interface.get("mask") is not None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"faces have a __cuda_array_interface__ that cannot be read ({error!r}): {interface!r}; "
            "give an array of PyTorch, CuPy, Numba or PyCUDA"
        ) from None
    if masked:
        raise InputError("faces must be without a mask; fill in what is masked")
    if 0 not in shape and not cuda.owns(address):
        raise _other_device(f"the address {address:#x}, which is not in it", cuda)
    return ExternalArray(address, shape, dtype.name, array), strides, producer


def _other_device(got: str, cuda: Cuda) -> InputError:
    return InputError(
        f"faces must lie in the memory of cuda:{cuda.index}, where the engine runs, got {got}; copy them "
        "there, or load the engine on their GPU, as with device='cuda:1'"
    )


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    if 0 in shape:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
