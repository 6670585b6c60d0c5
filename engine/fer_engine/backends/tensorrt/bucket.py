"""One batch size of one lane: a context that always does the same work at the same addresses."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from fer_engine.backend import Faces, Logits
from fer_engine.backends.cuda.protocol import Cuda
from fer_engine.backends.tensorrt.api import IExecutionContext
from fer_engine.backends.tensorrt.buffers import Buffers
from fer_engine.backends.tensorrt.engine import LoadedPlan
from fer_engine.spec import INPUT_NAME


class Bucket:
    """Runs `batch` faces: copies them up, computes, copies the logits down, all as one captured graph.

    A small network is dozens of short kernels, and launching each one takes the CPU longer than the
    GPU needs to run it; a graph launches all with one call. It holds the addresses and the shape it
    was captured with, so each bucket has buffers of its own, and fewer faces are padded with old ones.
    Where CUDA has no graphs the same work is put into the stream call by call.

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
        self._stream = stream
        self._faces = Buffers(cuda, (batch, *plan.face_shape), np.uint8, owned)
        self._logits = Buffers(cuda, (batch, plan.classes), np.float32, owned)
        self._context: IExecutionContext = plan.context()
        owned.callback(delattr, self, "_context")
        owned.callback(cuda.synchronize, stream)  # before anything is given back that work may still use
        self._bind(plan, batch, profile, scratch)
        # TensorRT finishes its own preparations in the first run after a change of shape.
        self._enqueue()
        cuda.synchronize(stream)
        self._graphs = cuda.graphs
        if self._graphs is not None:
            self._graph = self._graphs.capture(stream, self._enqueue)
            owned.callback(self._graphs.destroy_graph, self._graph)

    def start(self, faces: Faces) -> None:
        """Put the work for 1 to `batch` faces into the stream; the last work must have been waited for."""
        self._faces.host[: len(faces)] = faces
        if self._graphs is None:
            self._enqueue()
        else:
            self._graphs.launch(self._graph, self._stream)

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
        self._check("execute_async_v3", self._context.execute_async_v3(self._stream))
        self._logits.download(self._stream)

    def _check(self, call: str, succeeded: bool) -> None:
        if not succeeded:
            raise self._log.failure(call)
