"""An app that has its frames on the simulated device, and wants the results there."""

from __future__ import annotations

import numpy as np

from fer_engine.backends.cuda import dlpack
from simulated.cudart import SimulatedCudart

ANOTHER_OWNER = 0x77


class App:
    """Works in a stream of its own, or in a default stream, through the interface that `kind` names."""

    def __init__(self, device: SimulatedCudart, kind: str, stream: int | None = None) -> None:
        self.device = device
        self.kind = kind
        self.stream = stream or device.cudaStreamCreateWithFlags(device.cudaStreamNonBlocking)[1]
        self.own_stream = stream is None
        self.allocations: list[int] = []

    def frames(self, faces: np.ndarray) -> Frames:
        """Return frames that its stream is still to compute, so that they are there late."""
        address = self.device.cudaMalloc(max(1, faces.nbytes))[1]
        self.allocations.append(address)
        contents = faces.copy().reshape(-1).view(np.uint8)

        def compute() -> None:
            self.device.device_memory.at(address, contents.size)[:] = contents

        self.device.enqueue(self.stream, compute)
        return (Capsules if self.kind == "dlpack" else Frames)(self, address, faces.shape, faces.dtype)

    def take(self, logits) -> np.ndarray:
        """Take results as the interface hands them over, and work on them in its stream."""
        if self.kind == "dlpack":
            lent = dlpack.read(capsule := logits.__dlpack__(stream=self.stream))
            address, shape, dtype = lent.address, lent.shape, lent.dtype
        else:
            capsule, interface = logits, logits.__cuda_array_interface__
            assert (interface["stream"], interface["version"]) == (None, 3)
            address, shape, dtype = interface["data"][0], interface["shape"], interface["typestr"]
        taken = np.full(shape, np.nan, dtype)

        def work() -> None:
            if taken.size:
                taken[...] = self.device.device_memory.at(address, taken.nbytes).view(dtype).reshape(shape)

        self.device.enqueue(self.stream, work)
        del logits  # with DLPack the capsule alone keeps the memory now, as in a tensor made of it
        self.device.cudaStreamSynchronize(self.stream)
        del capsule
        return taken

    def close(self) -> None:
        self.device.cudaStreamSynchronize(self.stream)
        for address in self.allocations:
            self.device.cudaFree(address)
        if self.own_stream:
            self.device.cudaStreamDestroy(self.stream)


class Frames:
    """An array with the CUDA Array Interface, from a pool: dropped, its memory is somebody else's."""

    def __init__(self, app: App, address: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.app, self.address, self.shape, self.dtype = app, address, shape, dtype
        self.changes: dict[str, object] = {}  # what the interface shall say otherwise

    @property
    def interface(self) -> dict[str, object]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, True),
            "version": 3,
            "stream": self.app.stream,
        } | self.changes

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        return self.interface

    def __del__(self) -> None:
        size = int(np.prod(self.shape)) * self.dtype.itemsize
        if size and self.address in self.app.device.device_memory.live:
            self.app.device.device_memory.at(self.address, size)[:] = ANOTHER_OWNER


class Capsules(Frames):
    """The same with DLPack, as PyTorch does it: the stream that it is given waits for its own."""

    location = (dlpack.CUDA, 0)
    __cuda_array_interface__ = None

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.location

    def __dlpack__(self, *, stream: int) -> object:
        device = self.app.device
        event = device.cudaEventCreateWithFlags(device.cudaEventDisableTiming)[1]
        device.cudaEventRecord(event, self.app.stream)
        device.cudaStreamWaitEvent(stream, event, device.cudaEventWaitDefault)
        device.cudaEventDestroy(event)
        capsule = np.asarray(_Host(self)).__dlpack__()
        tensor = dlpack._tensor(capsule)
        tensor.device_type, tensor.device_index = self.location
        return capsule


class _Host:
    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.__array_interface__ = {**frames.interface, "data": (frames.address, False), "stream": None}
