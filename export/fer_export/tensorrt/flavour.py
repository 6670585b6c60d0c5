"""The libraries that build plans: `tensorrt` for all GPUs of NVIDIA, `tensorrt_rtx` for GeForce and RTX."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from types import ModuleType

from fer_engine.errors import BackendError

INSTALL = {
    "tensorrt": "pip install 'fer-engine[tensorrt]'",
    "tensorrt_rtx": "pip install 'fer-engine[tensorrt-rtx]'",
}
# Before TensorRT 10 a strongly typed network could not hold INT8, and flags decided the precision.
OLDEST = {"tensorrt": 10, "tensorrt_rtx": 1}
CUDA = re.compile(r"-cu(\d+)-bindings$")


def check_installed(flavour: str) -> None:
    """Check that a library is installed, without importing it.

    Raises:
        BackendError: it is not.
    """
    if importlib.util.find_spec(flavour) is None:
        raise BackendError(f"{flavour} is not installed; install it with: {INSTALL[flavour]}")


def load_library(flavour: str) -> ModuleType:
    """Import a library.

    Raises:
        BackendError: it cannot be imported, or is too old.
    """
    try:
        module = importlib.import_module(flavour)
    except (ImportError, OSError) as error:  # OSError: a shared library that it opens is missing
        raise BackendError(
            f"{flavour} cannot be imported ({error}); install it with: {INSTALL[flavour]}"
        ) from error
    version = str(module.__version__)
    if int(version.partition(".")[0]) < OLDEST[flavour]:
        raise BackendError(
            f"{flavour} {version} is installed, expected {OLDEST[flavour]} or later, whose networks take "
            f"their precision from the graph alone; upgrade it with: {INSTALL[flavour]}"
        )
    return module


def cuda_version(flavour: str) -> str | None:
    """Return the major CUDA version that the installed wheel is built for; None where it has no wheel."""
    for distribution in importlib.metadata.distributions():
        name = str(distribution.metadata["Name"]).lower().replace("_", "-")
        match = CUDA.search(name)
        if match is not None and name == f"{flavour.replace('_', '-')}{match[0]}":
            return match[1]
    return None
