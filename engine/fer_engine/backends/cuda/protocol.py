"""What the runtime asks of CUDA."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from fer_engine.errors import BackendError

LEGACY_STREAM = 1  # CUDA's cudaStreamLegacy, the stream of programs that name none

# What helps against errors that are not ours, by CUDA's name for them.
ADVICE = {
    "cudaErrorInsufficientDriver": "install an NVIDIA driver that supports this CUDA version "
    "(see nvidia-smi), or use device='cpu'",
    "cudaErrorNoDevice": "check with nvidia-smi that the GPU is visible to this process, or use device='cpu'",
    "cudaErrorInvalidDevice": "give a device that nvidia-smi lists, such as device='cuda:0'",
    "cudaErrorMemoryAllocation": "free device memory, or ask for less of it with a smaller micro_batch or "
    "fewer threads",
    "cudaErrorStreamCaptureUnsupported": "the plan allocates while it runs; build it again with this release",
}


class CudaError(BackendError):
    """A call of CUDA failed; the text carries the call, and CUDA's own name and text of the error."""

    def __init__(self, call: str, name: str, text: str) -> None:
        advice = ADVICE.get(name)
        super().__init__(f"{call} failed with {name}: {text}" + (f"; {advice}" if advice else ""))
        self.name = name


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU; `compute_capability` is a text like "8.9", `driver` the newest CUDA version it supports."""

    name: str
    compute_capability: str
    driver: str


class Graphs(Protocol):
    """CUDA graphs: work that is recorded once and then put into a stream with one call."""

    def capture(self, stream: int, enqueue: Callable[[], None]) -> int:
        """Return a graph of the work that `enqueue` puts into the stream, which is not done now.

        What other threads do with CUDA meanwhile does not matter.
        """

    def launch(self, graph: int, stream: int) -> None:
        """Put the work of a graph into the stream."""

    def destroy_graph(self, graph: int) -> None:
        """Give a graph back."""


class Cuda(Protocol):
    """One device of one CUDA library.

    Addresses, streams and graphs are whole numbers, as TensorRT takes them. Every method raises
    `CudaError` where CUDA reports an error, also one of earlier work that only shows now.
    """

    #: Name and version of the library.
    library: str
    #: Which of the GPUs of this process it is.
    index: int

    @property
    def graphs(self) -> Graphs | None:
        """CUDA graphs, None where the library has none."""

    def device(self) -> Device:
        """Return what the device says of itself."""

    def active(self) -> AbstractContextManager[None]:
        """Make the device current in this thread for a while; all other calls stand inside."""

    def allocate(self, size: int) -> int:
        """Return the address of `size` bytes of device memory, aligned to 256 bytes."""

    def free(self, address: int) -> None:
        """Give device memory back; no work may use it any more."""

    def allocate_pinned(self, size: int) -> int:
        """Return the address of `size` bytes of host memory that the device itself can read and write."""

    def free_pinned(self, address: int) -> None:
        """Give pinned memory back; no work and no array may use it any more."""

    def create_stream(self) -> int:
        """Return a new stream, which no other waits for."""

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back."""

    def upload(self, device: int, host: int, size: int, stream: int) -> None:
        """Put a copy of pinned memory to the device into the stream."""

    def download(self, host: int, device: int, size: int, stream: int) -> None:
        """Put a copy of device memory to pinned memory into the stream."""

    def copy(self, to: int, of: int, size: int, stream: int) -> None:
        """Put a copy of device memory to device memory into the stream."""

    def owns(self, address: int) -> bool:
        """Return whether the address lies in memory of this device."""

    def synchronize(self, stream: int) -> None:
        """Wait until all work of the stream is done."""

    def create_event(self) -> int:
        """Return a new event, which nothing has to wait for yet."""

    def destroy_event(self, event: int) -> None:
        """Give an event back; streams that wait for it go on doing so."""

    def record_event(self, event: int, stream: int) -> None:
        """Record the event behind the stream's work so far; any stream of this device."""

    def wait_event(self, stream: int, event: int) -> None:
        """Let the stream's later work wait for the event; any stream of this device.

        Where a library cannot do that with a stream of others, this thread waits.
        """

    def synchronize_event(self, event: int) -> None:
        """Wait until the event has happened."""
