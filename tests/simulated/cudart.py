"""A device that stands in for the module `cuda.bindings.runtime`.

It keeps CUDA's rules more strictly than a GPU does. Work put into a stream runs only when somebody waits
for it ("late"), or else before the call returns ("eager"): a runtime that is right with both forgets no
synchronization and overwrites nothing that is still to be read.
"""

# ruff: noqa: N802, N803, N815 - these are CUDA's names
from __future__ import annotations

import enum
import itertools
import threading
from collections.abc import Callable
from types import SimpleNamespace

from simulated.memory import Memory, MisuseError
from simulated.status import RELEASES, TEXTS, Calls, CudaStatusError, call, cudaError_t
from simulated.streams import Event, Stream

LEGACY, PER_THREAD = 1, 2  # streams that are always there


class SimulatedCudart(Calls):
    """The functions of CUDA's runtime API that the engine uses, over host memory."""

    cudaError_t = cudaError_t
    cudaMemcpyKind = enum.Enum(
        "cudaMemcpyKind", ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost", "cudaMemcpyDeviceToDevice"]
    )
    cudaMemoryType = enum.Enum(
        "cudaMemoryType",
        ["cudaMemoryTypeUnregistered", "cudaMemoryTypeHost", "cudaMemoryTypeDevice", "cudaMemoryTypeManaged"],
    )
    cudaStreamCaptureMode = enum.Enum("cudaStreamCaptureMode", ["cudaStreamCaptureModeThreadLocal"])
    cudaHostAllocDefault = 0
    cudaStreamNonBlocking = 1
    cudaEventDisableTiming = 2
    cudaEventWaitDefault = 0

    def __init__(self, *, eager: bool = False, devices: int = 1, driver: bool = True) -> None:
        super().__init__()
        self.eager = eager
        self.devices = devices
        self.driver = driver
        self.device_memory = Memory("device", host=False)
        self.home: dict[int, int] = {}  # the device of each device allocation
        self.pinned = Memory("pinned", host=True)
        self.default_streams = {handle: Stream(0, eager) for handle in (LEGACY, PER_THREAD)}
        self.streams: dict[int, Stream] = {}
        self.events: dict[int, Event] = {}
        self.graphs: dict[int, list] = {}
        self.executables: dict[int, list] = {}
        self.lost: set[int] = set()  # what a failed call should have released
        self._handles = itertools.count(1000)
        self._current = threading.local()

    # What tests ask of it.

    def _spoil(self, name: str, *handle: int) -> None:
        """Do what a call does though it fails."""
        if name in RELEASES:
            self.lost.update(handle)
        if name == "cudaStreamEndCapture":
            self._stream(*handle).captured = None
        if name == "cudaEventSynchronize" and (record := self._event(*handle).record):
            record.stream.drain(record)

    def leaks(self) -> dict[str, set[int]]:
        """Return what is held and should have been given back."""
        kinds = {
            "device memory": self.device_memory.live,
            "pinned memory": self.pinned.live,
            "streams": self.streams,
            "events": self.events,
            "graphs": self.graphs,
            "executable graphs": self.executables,
        }
        return {kind: held for kind, live in kinds.items() if (held := set(live) - self.lost)}

    # What the stand-in for TensorRT asks of it.

    def enqueue(self, handle: int, work: Callable[[], None]) -> None:
        """Put work into a stream; in a stream under capture it is only noted."""
        self._stream(handle).put(work)

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
        return self._here

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
        address = self.device_memory.allocate(size)
        self.home[address] = self._here
        return address

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
        kinds = self.cudaMemcpyKind
        to = self.pinned if kind is kinds.cudaMemcpyDeviceToHost else self.device_memory
        of = self.pinned if kind is kinds.cudaMemcpyHostToDevice else self.device_memory
        (of.at(src, count), to.at(dst, count))  # a copy of unpinned memory shows here

        def copy() -> None:
            to.at(dst, count)[:] = of.at(src, count)

        self.enqueue(stream, copy)

    @call
    def cudaPointerGetAttributes(self, ptr):
        kinds = self.cudaMemoryType
        if (start := self.device_memory.start_of(ptr)) is not None:
            return SimpleNamespace(type=kinds.cudaMemoryTypeDevice, device=self.home[start])
        pinned = self.pinned.start_of(ptr) is not None
        return SimpleNamespace(
            type=kinds.cudaMemoryTypeHost if pinned else kinds.cudaMemoryTypeUnregistered, device=0
        )

    @call
    def cudaStreamCreateWithFlags(self, flags):
        if flags != self.cudaStreamNonBlocking:
            raise MisuseError("a blocking stream waits for the legacy default stream")
        handle = next(self._handles)
        self.streams[handle] = Stream(self._here, self.eager)
        return handle

    @call
    def cudaStreamSynchronize(self, stream):
        found = self._stream(stream)
        if found.captured is not None:
            raise CudaStatusError(cudaError_t.cudaErrorStreamCaptureUnsupported)
        found.drain()
        self._tell_failure(found)

    @call
    def cudaStreamDestroy(self, stream):
        if self._stream(stream).queue:
            raise MisuseError("a stream is destroyed while its work is under way")
        del self.streams[stream]

    @call
    def cudaEventCreateWithFlags(self, flags):
        if flags != self.cudaEventDisableTiming:
            raise MisuseError("an event that keeps the time costs more")
        handle = next(self._handles)
        self.events[handle] = Event(self._here)
        return handle

    @call
    def cudaEventRecord(self, event, stream):
        found, on = self._event(event), self._stream(stream)
        if found.device != (self._here if stream in self.default_streams else on.device):
            raise CudaStatusError(cudaError_t.cudaErrorInvalidResourceHandle)
        found.record = on.mark()

    @call
    def cudaStreamWaitEvent(self, stream, event, flags):  # noqa: ARG002
        waiting, record = self._stream(stream), self._event(event).record
        if record is not None:
            waiting.wait(record)

    @call
    def cudaEventSynchronize(self, event):
        record = self._event(event).record
        if record is None:
            return
        record.stream.drain(record)
        if not record.done:
            record.stream.failed = True
            self._tell_failure(record.stream)

    @call
    def cudaEventDestroy(self, event):
        self._event(event)
        del self.events[event]

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
        if self._stream(stream).device != self._here:
            raise CudaStatusError(cudaError_t.cudaErrorInvalidResourceHandle)
        for work in self.executables[graphExec]:
            self.enqueue(stream, work)

    @call
    def cudaGraphExecDestroy(self, graphExec):
        del self.executables[graphExec]

    @property
    def _here(self) -> int:
        """The device that is current in this thread."""
        return getattr(self._current, "device", 0)

    def _need_driver(self) -> None:
        if not self.driver:
            raise CudaStatusError(cudaError_t.cudaErrorInsufficientDriver)

    def _stream(self, handle: int) -> Stream:
        found = self.streams.get(handle) or self.default_streams.get(handle)
        if found is None:
            raise MisuseError(f"stream {handle} is used, which does not exist")
        return found

    def _event(self, handle: int) -> Event:
        if handle not in self.events:
            raise MisuseError(f"event {handle} is used, which does not exist")
        return self.events[handle]

    def _tell_failure(self, stream: Stream) -> None:
        if stream.failed:
            stream.failed = False
            raise CudaStatusError(cudaError_t.cudaErrorLaunchFailure)

    def _not_in_capture(self) -> None:
        here = threading.get_ident()
        if any(
            stream.capturing_thread == here and stream.captured is not None
            for stream in self.streams.values()
        ):
            raise CudaStatusError(cudaError_t.cudaErrorStreamCaptureUnsupported)
