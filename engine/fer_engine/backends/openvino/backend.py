"""OpenVINO on the CPU: one compiled model with a stream of one core for each worker.

OpenVINO builds kernels for every batch size when it first meets it, which takes as long as several
inferences, so micro-batches are padded to one of a few sizes. A model compiled for one fixed size
and one stream runs on the thread that calls, and saves nearly half the time of a single face and next to
nothing of a micro-batch's: single faces have one of their own, which one thread at a time can use.
Micro-batches are handed to OpenVINO's threads: one of Python's takes longer to wake, and needs the
interpreter's lock before it can begin.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import openvino
from openvino import properties
from openvino.properties import hint

from fer_engine.backends.openvino.folding import suit_matrix_units
from fer_engine.backends.openvino.layers import executed_layers, inference_precision
from fer_engine.errors import ArtifactError, BackendError, ConfigError
from fer_engine.runtime.backend import Backend, BackendOptions, Faces, Logits, Model
from fer_engine.runtime.validate import TensorInfo, check_interface
from fer_engine.system import cpu

DEVICE = "CPU"
MICRO_BATCHES = (8, 16, 32, 64)
UNDER_WAY = 2  # micro-batches for each stream, so that none waits for the next while answers are read

KINDS = {"u8": "uint8", "f32": "float32"}


class OpenVinoBackend(Backend):
    """A model in OpenVINO's CPU plugin."""

    name = "openvino"
    overlaps = True
    versions: ClassVar[dict[str, str]] = {"openvino": openvino.__version__.partition("-")[0]}

    def __init__(self, requests: Sequence[Requests], options: BackendOptions) -> None:
        compiled = requests[-1].compiled
        self.providers = tuple(compiled.get_property(properties.execution_devices))
        self.threads = int(compiled.get_property(properties.inference_num_threads))
        self.workers = int(compiled.get_property(properties.num_streams))
        self.micro_batches = (options.micro_batch,) if options.micro_batch else MICRO_BATCHES
        self.executed = {names[0]: precision for names, precision in executed_layers(compiled).items()}
        self._requests = requests

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> OpenVinoBackend:
        if options.device != "cpu":
            raise BackendError(f"backend 'openvino' runs on device 'cpu' alone, got {options.device!r}")
        if model.precision == "int8" and _saturates():
            raise BackendError(
                "OpenVINO adds the products of this graph in 16 bits on a CPU without VNNI, where they "
                "saturate and change the answers; use precision 'int8-cpu', or backend 'onnxruntime'"
            )
        core = openvino.Core()
        try:
            graph = core.read_model(model.content)
            tensors = [_tensor(entry) for entry in (*graph.inputs, *graph.outputs)]
        except Exception as error:
            raise _unloadable(model, error) from error
        check_interface(model, tensors)
        precision = inference_precision(core, half=model.precision == "fp16")
        settings, shape = _settings(precision, options), model.spec.face_shape
        try:
            single = core.compile_model(_of_one_face(graph, shape), DEVICE, settings | _lone(options))
            many = core.compile_model(suit_matrix_units(graph, precision), DEVICE, settings)
            requests = Requests(single, shape, (1,), lone=True), Requests(many, shape, _sizes(options))
        except Exception as error:
            raise _unloadable(model, error) from error
        return cls(requests, options)

    def infer(self, faces: Faces) -> Logits:
        try:
            fitting = [requests for requests in self._requests if requests.sizes[-1] >= len(faces)]
            with _lent(*fitting) as request:
                return request.infer(faces)
        except Exception as error:
            raise BackendError(f"openvino failed on {len(faces)} faces: {_reason(error)}") from error

    def infer_shards(self, faces: Faces, shards: Sequence[slice], logits: Logits) -> None:
        try:
            with contextlib.ExitStack() as stack:
                under_way: deque[tuple[slice, Request]] = deque()
                for shard in shards:
                    if len(under_way) == UNDER_WAY * self.workers:
                        done, request = under_way.popleft()
                        logits[done] = request.wait()
                    else:
                        # Of the model of many, whatever this shard's size: the next may be larger.
                        request = stack.enter_context(_lent(self._requests[-1]))
                    request.start(faces[shard])
                    under_way.append((shard, request))
                for shard, request in under_way:
                    logits[shard] = request.wait()
        except Exception as error:
            raise BackendError(f"openvino failed on {len(faces)} faces: {_reason(error)}") from error

    def close(self) -> None:
        del self._requests


class Requests:
    """A compiled model for batches of some ascending sizes, and a request for each thread that calls.

    If it is `lone` it has one request only, and `take` returns None while that is in use.
    """

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        face_shape: tuple[int, ...],
        sizes: tuple[int, ...],
        lone: bool = False,
    ) -> None:
        self.compiled = compiled
        self.sizes = sizes
        self._lone = lone
        self._face_shape = face_shape
        self._idle = [self._make()] if lone else []  # its pop and append are atomic

    def take(self) -> Request | None:
        """Return an idle request, None where the only one is in use."""
        try:
            return self._idle.pop()
        except IndexError:
            return None if self._lone else self._make()

    def give_back(self, request: Request) -> None:
        self._idle.append(request)

    def _make(self) -> Request:
        return Request(self.compiled.create_infer_request(), self._face_shape, self.sizes)


class Request:
    """An inference request with an input buffer of its own, for one thread at a time."""

    def __init__(
        self, request: openvino.InferRequest, face_shape: tuple[int, ...], sizes: tuple[int, ...]
    ) -> None:
        self._request = request
        self._sizes = sizes
        self._buffer = np.zeros((sizes[-1], *face_shape), np.uint8)
        self._tensors = [openvino.Tensor(self._buffer[:size], shared_memory=True) for size in sizes]

    def infer(self, faces: Faces) -> Logits:
        self._set(faces)
        self._request.infer(share_outputs=True)
        return self._logits().copy()

    def start(self, faces: Faces) -> None:
        self._set(faces)
        self._request.start_async()

    def wait(self) -> Logits:
        """Return the logits of the faces of `start`, in memory that the next ones will overwrite."""
        self._request.wait()
        return self._logits()

    def _set(self, faces: Faces) -> None:
        self._count = len(faces)
        self._buffer[: self._count] = faces
        self._request.set_input_tensor(self._tensors[bisect_left(self._sizes, self._count)])

    def _logits(self) -> Logits:
        logits: Logits = self._request.get_output_tensor().data[: self._count]
        return logits


@contextlib.contextmanager
def _lent(*models: Requests) -> Iterator[Request]:
    """Lend an idle request of the first model that has one; one that failed is not lent again."""
    requests, request = next((kept, idle) for kept in models if (idle := kept.take()) is not None)
    yield request
    requests.give_back(request)


def _saturates() -> bool:
    """Tell whether an x86 CPU has integer vectors but no VNNI, as far as the system says."""
    there = cpu.cpu_features()
    return there["avx2"] is True and there["avx_vnni"] is there["avx512_vnni"] is False


def _of_one_face(graph: openvino.Model, face_shape: tuple[int, ...]) -> openvino.Model:
    graph = graph.clone()
    graph.reshape([1, *face_shape])
    return graph


def _lone(options: BackendOptions) -> dict[str, object]:
    """Return what the model of single faces has instead: the caller's core, or all for each layer."""
    threads = options.cores if options.mode == "latency" else 1
    return {properties.num_streams: 1, properties.inference_num_threads: threads}


def _sizes(options: BackendOptions) -> tuple[int, ...]:
    """Return the batch sizes that micro-batches are padded to."""
    largest = options.micro_batch or MICRO_BATCHES[-1]
    powers = (2**exponent for exponent in range(largest.bit_length()))
    steps = sorted({step for power in powers for step in (power, power * 3 // 2)})  # 1 2 3 4 6 8 12 16 ...
    return (*(step for step in steps if step < largest), largest)


def _settings(precision: str, options: BackendOptions) -> dict[str, object]:
    settings = {
        hint.inference_precision: precision,
        properties.inference_num_threads: options.cores,
        properties.num_streams: options.workers,
        # A stream that is tied to its core cannot leave it to another process.
        hint.enable_cpu_pinning: False,
    }
    if options.cache is not None:
        try:
            options.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"cache folder {options.cache} cannot be made: {error.strerror}; "
                "give one that you may write to"
            ) from None
        settings[properties.cache_dir] = str(options.cache)
    return settings


def _tensor(entry: openvino.Output) -> TensorInfo:
    shape = tuple("?" if size.is_dynamic else size.get_length() for size in entry.partial_shape)
    kind = entry.element_type.get_type_name()
    return TensorInfo(entry.get_any_name(), KINDS.get(kind, kind), shape)


def _unloadable(model: Model, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"openvino cannot load the {model.precision} graph of {model.folder}: {_reason(error)}; "
        "run fer-export again"
    )


def _reason(error: Exception) -> str:
    """Return the first line of an OpenVINO error that says more than where it was raised."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.startswith("Exception from")), repr(error))
