"""CUDA's runtime API through NVIDIA's cuda-bindings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from fer_engine.backends.cuda.protocol import CudaError, Device, Graphs


class CudaBindings:
    """One device; `runtime` is the module `cuda.bindings.runtime`, or what stands in for it.

    Raises:
        CudaError: there is no driver, or no such device.
    """

    def __init__(self, runtime: Any, index: int = 0) -> None:
        self._runtime = runtime
        self.index = index
        version = self._call(runtime.cudaRuntimeGetVersion)
        self.library = f"CUDA runtime {_dotted(version)} (cuda-bindings)"
        with self.active():
            pass

    @property
    def graphs(self) -> Graphs:
        return self

    def device(self) -> Device:
        runtime = self._runtime
        properties = self._call(runtime.cudaGetDeviceProperties, self.index)
        return Device(
            properties.name.decode(),
            f"{properties.major}.{properties.minor}",
            _dotted(self._call(runtime.cudaDriverGetVersion)),
        )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        before = self._call(self._runtime.cudaGetDevice)
        if before == self.index:
            yield
            return
        self._call(self._runtime.cudaSetDevice, self.index)
        try:
            yield
        finally:
            self._call(self._runtime.cudaSetDevice, before)

    def allocate(self, size: int) -> int:
        return int(self._call(self._runtime.cudaMalloc, size))

    def free(self, address: int) -> None:
        self._call(self._runtime.cudaFree, address)

    def allocate_pinned(self, size: int) -> int:
        return int(self._call(self._runtime.cudaHostAlloc, size, self._runtime.cudaHostAllocDefault))

    def free_pinned(self, address: int) -> None:
        self._call(self._runtime.cudaFreeHost, address)

    def create_stream(self) -> int:
        # A blocking stream would wait for the legacy default stream, on which others may work.
        return int(self._call(self._runtime.cudaStreamCreateWithFlags, self._runtime.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        self._call(self._runtime.cudaStreamDestroy, stream)

    def upload(self, device: int, host: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._runtime.cudaMemcpyAsync, device, host, size, kind, stream)

    def download(self, host: int, device: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self._runtime.cudaMemcpyAsync, host, device, size, kind, stream)

    def copy(self, to: int, of: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._call(self._runtime.cudaMemcpyAsync, to, of, size, kind, stream)

    def owns(self, address: int) -> bool:
        kinds = self._runtime.cudaMemoryType
        found = self._call(self._runtime.cudaPointerGetAttributes, address)
        on_device = found.type in (kinds.cudaMemoryTypeDevice, kinds.cudaMemoryTypeManaged)
        return on_device and found.device == self.index

    def create_event(self) -> int:
        flags = self._runtime.cudaEventDisableTiming
        return int(self._call(self._runtime.cudaEventCreateWithFlags, flags))

    def destroy_event(self, event: int) -> None:
        self._call(self._runtime.cudaEventDestroy, event)

    def record_event(self, event: int, stream: int) -> None:
        self._call(self._runtime.cudaEventRecord, event, stream)

    def wait_event(self, stream: int, event: int) -> None:
        self._call(self._runtime.cudaStreamWaitEvent, stream, event, self._runtime.cudaEventWaitDefault)

    def synchronize_event(self, event: int) -> None:
        self._call(self._runtime.cudaEventSynchronize, event)

    def synchronize(self, stream: int) -> None:
        self._call(self._runtime.cudaStreamSynchronize, stream)

    def capture(self, stream: int, enqueue: Callable[[], None]) -> int:
        runtime = self._runtime
        # Other threads of the app may allocate meanwhile, which the global mode would forbid them.
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call(runtime.cudaStreamBeginCapture, stream, mode)
        try:
            enqueue()
        except BaseException:
            # A capture left open would make the stream useless; what is reported is what went wrong in it.
            with contextlib.suppress(CudaError):
                self._call(runtime.cudaGraphDestroy, self._call(runtime.cudaStreamEndCapture, stream))
            raise
        recorded = self._call(runtime.cudaStreamEndCapture, stream)
        try:
            graph = int(self._call(runtime.cudaGraphInstantiate, recorded, 0))
        finally:
            destroyed = runtime.cudaGraphDestroy(recorded)[0]
        if destroyed != runtime.cudaError_t.cudaSuccess:
            with contextlib.suppress(CudaError):
                self.destroy_graph(graph)
            raise self._error("cudaGraphDestroy", destroyed)
        return graph

    def launch(self, graph: int, stream: int) -> None:
        self._call(self._runtime.cudaGraphLaunch, graph, stream)

    def destroy_graph(self, graph: int) -> None:
        self._call(self._runtime.cudaGraphExecDestroy, graph)

    def _call(self, function: Callable[..., tuple[Any, ...]], *arguments: object) -> Any:
        """Call CUDA; return what it gives beside the status, once that is found right."""
        status, *values = function(*arguments)
        if status != self._runtime.cudaError_t.cudaSuccess:
            raise self._error(function.__name__, status)
        return values[0] if values else None

    def _error(self, call: str, status: Any) -> CudaError:
        name = self._runtime.cudaGetErrorName(status)[1]
        text = self._runtime.cudaGetErrorString(status)[1]
        return CudaError(call, name.decode(), text.decode())


def _dotted(version: int) -> str:
    """Return CUDA's 1000 * major + 10 * minor as a text."""
    return f"{version // 1000}.{version % 1000 // 10}"
