"""One batch size of one lane: a context that always does the same work at the same addresses."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.backends.cuda.array import pinned_array
from fer_engine.backends.cuda.protocol import Cuda
from fer_engine.backends.tensorrt.api import IExecutionContext
from fer_engine.backends.tensorrt.loaded_plan import LoadedPlan
from fer_engine.runtime.backend import Faces, Logits


class Recording:
    """Puts the same work into a stream: with one call as a CUDA graph, call by call where there are none.

    The graph is given back when `owned` is closed.
    """

    def __init__(self, cuda: Cuda, stream: int, enqueue: Callable[[], None], owned: ExitStack) -> None:
        self._graphs = cuda.graphs
        self._stream = stream
        self._enqueue = enqueue
        self._owned = owned
        self._graph: int | None = None

    def capture(self) -> None:
        """Record the graph if there is none yet; `start` does it too, where it must not be ready before."""
        if self._graphs is not None and self._graph is None:
            self._graph = self._graphs.capture(self._stream, self._enqueue)
            self._owned.callback(self._graphs.destroy_graph, self._graph)

    def start(self) -> None:
        """Put the work into the stream."""
        self.capture()
        if self._graphs is None or self._graph is None:
            self._enqueue()
        else:
            self._graphs.launch(self._graph, self._stream)


class Buffers:
    """A tensor of a fixed shape at fixed addresses, until `owned` is closed.

    `row_size` is the bytes of one entry of a batch.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], kind: type[np.generic], owned: ExitStack) -> None:
        self._cuda = cuda
        self.row_size = math.prod(shape[1:]) * np.dtype(kind).itemsize
        self._size = shape[0] * self.row_size
        self.device = cuda.allocate(self._size)
        owned.callback(cuda.free, self.device)
        self.host: NDArray[Any] = pinned_array(cuda, shape, kind, owned)
        self.host.fill(0)
        self._pinned = self.host.ctypes.data

    def upload(self, stream: int) -> None:
        """Put a copy from the host to the device into the stream."""
        self._cuda.upload(self.device, self._pinned, self._size, stream)

    def download(self, stream: int) -> None:
        """Put a copy from the device to the host into the stream."""
        self._cuda.download(self._pinned, self.device, self._size, stream)


class Bucket:
    """Runs `batch` faces: copies them up, computes, copies the logits down, all as one captured graph.

    A small network is dozens of short kernels, and launching each one takes the CPU longer than the
    GPU needs to run it; a graph launches all with one call. It holds the addresses and the shape it
    was captured with, so each bucket has buffers of its own, and fewer faces are padded with old ones.
    Where CUDA has no graphs the same work is put into the stream call by call.

    Faces that lie on the device already are copied into the same buffers: a graph cannot follow them to
    other addresses, and TensorRT wants aligned ones, which a slice's are not. A second graph, captured
    when it is first needed, computes from there.

    All that is made here is given back when `owned` is closed, in the opposite order.
    """

    def __init__(
        self,
        cuda: Cuda,
        plan: LoadedPlan,
        batch: int,
        profile: int,
        stream: int,
        scratch: int,
        owned: ExitStack,
    ) -> None:
        self._log = plan.log
        self._cuda = cuda
        self._stream = stream
        self._faces = Buffers(cuda, (batch, *plan.face_shape), np.uint8, owned)
        self._logits = Buffers(cuda, (batch, plan.outputs), np.float32, owned)
        self._context: IExecutionContext = plan.context()
        owned.callback(delattr, self, "_context")
        owned.callback(cuda.synchronize, stream)  # before anything is given back that work may still use
        self._bind(plan, batch, profile, scratch)
        # TensorRT finishes its own preparations in the first run after a change of shape.
        self._enqueue()
        cuda.synchronize(stream)
        self._run = Recording(cuda, stream, self._enqueue, owned)
        self._run.capture()
        self._run_on_device = Recording(cuda, stream, self._compute, owned)

    def start(self, faces: Faces) -> None:
        """Put the work for 1 to `batch` faces into the stream; the last work must have been waited for."""
        self._faces.host[: len(faces)] = faces
        self._run.start()

    def start_on_device(self, faces: int, logits: int, count: int) -> None:
        """Put the work for `count` faces into the stream, from and to addresses on the device."""
        self._cuda.copy(self._faces.device, faces, count * self._faces.row_size, self._stream)
        self._run_on_device.start()
        self._cuda.copy(logits, self._logits.device, count * self._logits.row_size, self._stream)

    def read(self, logits: Logits) -> None:
        """Fill `logits` with the results of the first faces, once the stream has been waited for."""
        logits[...] = self._logits.host[: len(logits)]

    def _bind(self, plan: LoadedPlan, batch: int, profile: int, scratch: int) -> None:
        context = self._context
        self._check(
            "set_optimization_profile_async", context.set_optimization_profile_async(profile, self._stream)
        )
        self._check("set_input_shape", context.set_input_shape(INPUT_NAME, (batch, *plan.face_shape)))
        self._check("set_tensor_address", context.set_tensor_address(INPUT_NAME, self._faces.device))
        self._check("set_tensor_address", context.set_tensor_address(plan.output, self._logits.device))
        context.set_device_memory(scratch, plan.scratch_size(profile))  # how much depends on the profile

    def _enqueue(self) -> None:
        self._faces.upload(self._stream)
        self._compute()
        self._logits.download(self._stream)

    def _compute(self) -> None:
        self._check("execute_async_v3", self._context.execute_async_v3(self._stream))

    def _check(self, call: str, succeeded: bool) -> None:
        if not succeeded:
            raise self._log.failure(call)
