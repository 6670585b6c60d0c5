"""A device that stands in for the module `cuda.bindings.runtime`.

It keeps CUDA's rules more strictly than a GPU does. Work put into a stream runs only when somebody waits
for it ("late"), or else before the call returns ("eager"): a runtime that is right with both forgets no
synchronization and overwrites nothing that is still to be read.
"""

# ruff: noqa: N801, N802, N803, N815 - these are CUDA's names
from __future__ import annotations

import collections
import enum
import functools
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

from simulated.memory import Memory, MisuseError

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


class CudaStatusError(Exception):
    """A call that shall return this status."""


class WorkError(Exception):
    """Work that fails on the device, which only the next wait for the stream tells."""


@dataclass
class Stream:
    device: int
    queue: collections.deque = field(default_factory=collections.deque)
    captured: list | None = None
    capturing_thread: int | None = None
    failed: bool = False


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


RELEASES = {"cudaFree", "cudaFreeHost", "cudaStreamDestroy", "cudaGraphDestroy", "cudaGraphExecDestroy"}


class SimulatedCudart:
    """The functions of CUDA's runtime API that the engine uses, over host memory."""

    cudaError_t = cudaError_t
    cudaMemcpyKind = enum.Enum("cudaMemcpyKind", ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"])
    cudaStreamCaptureMode = enum.Enum("cudaStreamCaptureMode", ["cudaStreamCaptureModeThreadLocal"])
    cudaHostAllocDefault = 0
    cudaStreamNonBlocking = 1

    def __init__(self, *, eager: bool = False, devices: int = 1, driver: bool = True) -> None:
        self.eager = eager
        self.devices = devices
        self.driver = driver
        self.device_memory = Memory("device", host=False)
        self.pinned = Memory("pinned", host=True)
        self.streams: dict[int, Stream] = {}
        self.graphs: dict[int, list] = {}
        self.executables: dict[int, list] = {}
        self.lock = threading.RLock()
        self.seconds = 0.0
        self.calls: list[str] = []
        self.fail_at: set[int] = set()  # numbers of calls
        self.fail_all: set[str] = set()  # names of calls
        self.fault = cudaError_t.cudaErrorMemoryAllocation
        self.lost: set[int] = set()  # what a failed call should have released
        self._handles = itertools.count(1000)
        self._current = threading.local()

    # What tests ask of it.

    def fails(self, name: str) -> bool:
        """Note a call; return whether it shall fail."""
        self.calls.append(name)
        return len(self.calls) - 1 in self.fail_at or name in self.fail_all

    def _spoil(self, name: str, *handle: int) -> None:
        """Do what a call does though it fails."""
        if name in RELEASES:
            self.lost.update(handle)
        if name == "cudaStreamEndCapture":
            self._stream(*handle).captured = None

    def clock(self) -> float:
        return self.seconds

    def leaks(self) -> dict[str, set[int]]:
        """Return what is held and should have been given back."""
        kinds = {
            "device memory": self.device_memory.live,
            "pinned memory": self.pinned.live,
            "streams": self.streams,
            "graphs": self.graphs,
            "executable graphs": self.executables,
        }
        return {kind: held for kind, live in kinds.items() if (held := set(live) - self.lost)}

    # What the stand-in for TensorRT asks of it.

    def enqueue(self, handle: int, work: Callable[[], None]) -> None:
        """Put work into a stream; in a stream under capture it is only noted."""
        stream = self._stream(handle)
        if stream.captured is not None:
            stream.captured.append(work)
            return
        stream.queue.append(work)
        if self.eager:
            self._drain(stream)

    def is_capturing(self, handle: int) -> bool:
        return self._stream(handle).captured is not None

    # CUDA.

    @call
    def cudaRuntimeGetVersion(self):
        return 13050

    @call
    def cudaDriverGetVersion(self):
        return 13000

    @call
    def cudaGetDevice(self):
        self._need_driver()
        return getattr(self._current, "device", 0)

    @call
    def cudaSetDevice(self, device):
        self._need_driver()
        if device >= self.devices:
            raise CudaStatusError(cudaError_t.cudaErrorInvalidDevice)
        self._current.device = device

    @call
    def cudaGetDeviceProperties(self, device):
        if device >= self.devices:
            raise CudaStatusError(cudaError_t.cudaErrorInvalidDevice)
        return SimpleNamespace(name=b"Simulated GPU", major=8, minor=9)

    def cudaGetErrorName(self, error):
        return (cudaError_t.cudaSuccess, error.name.encode())

    def cudaGetErrorString(self, error):
        return (cudaError_t.cudaSuccess, TEXTS.get(error, "some error").encode())

    @call
    def cudaMalloc(self, size):
        self._not_in_capture()
        return self.device_memory.allocate(size)

    @call
    def cudaFree(self, devPtr):
        self._not_in_capture()
        self.device_memory.free(devPtr)

    @call
    def cudaHostAlloc(self, size, flags):  # noqa: ARG002
        self._not_in_capture()
        return self.pinned.allocate(size)

    @call
    def cudaFreeHost(self, ptr):
        self._not_in_capture()
        self.pinned.free(ptr)

    @call
    def cudaMemcpyAsync(self, dst, src, count, kind, stream):
        upload = kind is self.cudaMemcpyKind.cudaMemcpyHostToDevice
        to, of = (self.device_memory, self.pinned) if upload else (self.pinned, self.device_memory)
        (of.at(src, count), to.at(dst, count))  # a copy of unpinned memory shows here

        def copy() -> None:
            to.at(dst, count)[:] = of.at(src, count)

        self.enqueue(stream, copy)

    @call
    def cudaStreamCreateWithFlags(self, flags):
        if flags != self.cudaStreamNonBlocking:
            raise MisuseError("a blocking stream waits for the legacy default stream")
        handle = next(self._handles)
        self.streams[handle] = Stream(getattr(self._current, "device", 0))
        return handle

    @call
    def cudaStreamSynchronize(self, stream):
        found = self._stream(stream)
        if found.captured is not None:
            raise CudaStatusError(cudaError_t.cudaErrorStreamCaptureUnsupported)
        self._drain(found)
        if found.failed:
            found.failed = False
            raise CudaStatusError(cudaError_t.cudaErrorLaunchFailure)

    @call
    def cudaStreamDestroy(self, stream):
        if self._stream(stream).queue:
            raise MisuseError("a stream is destroyed while its work is under way")
        del self.streams[stream]

    @call
    def cudaStreamBeginCapture(self, stream, mode):  # noqa: ARG002
        found = self._stream(stream)
        if found.captured is not None:
            raise CudaStatusError(cudaError_t.cudaErrorStreamCaptureUnsupported)
        found.captured = []
        found.capturing_thread = threading.get_ident()

    @call
    def cudaStreamEndCapture(self, stream):
        found = self._stream(stream)
        if found.captured is None or found.capturing_thread != threading.get_ident():
            raise CudaStatusError(cudaError_t.cudaErrorInvalidValue)
        graph = next(self._handles)
        self.graphs[graph], found.captured = found.captured, None
        return graph

    @call
    def cudaGraphInstantiate(self, graph, flags):  # noqa: ARG002
        executable = next(self._handles)
        self.executables[executable] = list(self.graphs[graph])
        return executable

    @call
    def cudaGraphDestroy(self, graph):
        del self.graphs[graph]

    @call
    def cudaGraphLaunch(self, graphExec, stream):
        if graphExec not in self.executables:
            raise MisuseError("a graph is launched that does not exist")
        if self._stream(stream).device != getattr(self._current, "device", 0):
            raise CudaStatusError(cudaError_t.cudaErrorInvalidResourceHandle)
        for work in self.executables[graphExec]:
            self.enqueue(stream, work)

    @call
    def cudaGraphExecDestroy(self, graphExec):
        del self.executables[graphExec]

    def _need_driver(self) -> None:
        if not self.driver:
            raise CudaStatusError(cudaError_t.cudaErrorInsufficientDriver)

    def _stream(self, handle: int) -> Stream:
        if handle not in self.streams:
            raise MisuseError(f"stream {handle} is used, which does not exist")
        return self.streams[handle]

    def _drain(self, stream: Stream) -> None:
        try:
            while stream.queue:
                stream.queue.popleft()()
        except WorkError:
            stream.queue.clear()
            stream.failed = True

    def _not_in_capture(self) -> None:
        here = threading.get_ident()
        if any(
            stream.capturing_thread == here and stream.captured is not None
            for stream in self.streams.values()
        ):
            raise CudaStatusError(cudaError_t.cudaErrorStreamCaptureUnsupported)
