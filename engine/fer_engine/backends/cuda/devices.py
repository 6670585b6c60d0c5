"""The GPU that a device name such as "cuda:1" stands for."""

from __future__ import annotations

import re

from fer_engine.backends.cuda.protocol import Cuda
from fer_engine.errors import BackendError

CUDA = re.compile(r"cuda(?::(\d+))?")
PYCUDA = "pycuda"


def device_index(device: str, backend: str, others: tuple[str, ...] = ()) -> int:
    """Return which GPU "cuda" (the first) or "cuda:1" (the second) is.

    `others` are the devices that the backend can also run on, for the error's text.

    Raises:
        BackendError: it is neither.
    """
    match = CUDA.fullmatch(device)
    if match is None:
        known = ", ".join(map(repr, (*others, "cuda")))
        raise BackendError(
            f"backend {backend!r} runs on device {known} or another GPU such as 'cuda:1', got {device!r}"
        )
    return int(match[1] or 0)


def connect(device: str, backend: str) -> Cuda:
    """Return the device of that name; "pycuda" is that of the calling thread's current PyCUDA context.

    Raises:
        BackendError: there is no such device, no driver, or the library is not installed.
    """
    try:
        if device == PYCUDA:
            import pycuda
            import pycuda.driver

            from fer_engine.backends.cuda.pycuda import PyCuda

            return PyCuda(pycuda.driver, pycuda.VERSION_TEXT)
        index = device_index(device, backend, (PYCUDA,))

        from cuda.bindings import runtime

        from fer_engine.backends.cuda.bindings import CudaBindings

        return CudaBindings(runtime, index)
    except (ImportError, OSError) as error:
        package = "pycuda" if device == PYCUDA else "cuda-bindings"
        raise BackendError(
            f"device {device!r} needs {package}, which cannot be imported ({error}); "
            f"install it with: pip install {package}"
        ) from error
