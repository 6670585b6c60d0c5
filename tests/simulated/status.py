"""What calls of the simulated device return, and how tests let them fail."""

# ruff: noqa: N801, N815 - these are CUDA's names
from __future__ import annotations

import enum
import functools
import threading

CALL_SECONDS = 5e-6  # what a call costs the CPU


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidDevice = 101
    cudaErrorInvalidResourceHandle = 400
    cudaErrorLaunchFailure = 719
    cudaErrorStreamCaptureUnsupported = 900


TEXTS = {
    cudaError_t.cudaErrorMemoryAllocation: "out of memory",
    cudaError_t.cudaErrorInsufficientDriver: "CUDA driver version is insufficient for CUDA runtime version",
    cudaError_t.cudaErrorNoDevice: "no CUDA-capable device is detected",
    cudaError_t.cudaErrorInvalidDevice: "invalid device ordinal",
    cudaError_t.cudaErrorLaunchFailure: "unspecified launch failure",
}


class Calls:
    """The calls so far, the time that they took, and which of them shall fail."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.seconds = 0.0
        self.calls: list[str] = []
        self.fail_at: set[int] = set()  # numbers of calls
        self.fail_all: set[str] = set()  # names of calls
        self.fault = cudaError_t.cudaErrorMemoryAllocation

    def fails(self, name: str) -> bool:
        """Note a call; return whether it shall fail."""
        self.calls.append(name)
        return len(self.calls) - 1 in self.fail_at or name in self.fail_all

    def clock(self) -> float:
        return self.seconds


class CudaStatusError(Exception):
    """A call that shall return this status."""


def call(function):
    """Count a call, let it fail where the test wants that, and turn errors into its status."""

    @functools.wraps(function)
    def counted(self, *arguments):
        with self.lock:
            self.seconds += CALL_SECONDS
            try:
                if self.fails(function.__name__):
                    self._spoil(function.__name__, *arguments[:1])
                    return (self.fault, None)
                return (cudaError_t.cudaSuccess, function(self, *arguments))
            except CudaStatusError as error:
                return (error.args[0], None)

    return counted


RELEASES = {
    "cudaFree",
    "cudaFreeHost",
    "cudaStreamDestroy",
    "cudaEventDestroy",
    "cudaGraphDestroy",
    "cudaGraphExecDestroy",
}
