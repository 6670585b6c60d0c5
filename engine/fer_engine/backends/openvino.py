"""OpenVINO on the CPU: one compiled model with a stream of one core for each worker.

OpenVINO builds kernels for every batch size when it first meets it, which takes as long as several
inferences, so micro-batches are padded to one of a few sizes. A model compiled for one fixed size
saves a fifth of the time of a single face and next to nothing of a micro-batch's, but takes a
compilation and memory of its own: mode "latency" has one for single faces.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import openvino
from openvino import properties
from openvino.properties import hint

from fer_engine import cpu
from fer_engine.backend import Backend, BackendOptions, Faces, Logits, Model
from fer_engine.backends.folding import suit_matrix_units
from fer_engine.errors import ArtifactError, BackendError, ConfigError
from fer_engine.interface import Port, check_interface

DEVICE = "CPU"
MICRO_BATCHES = (8, 16, 32, 64)
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)

# Left to itself OpenVINO computes float layers in bfloat16 where the CPU can. Integer layers come
# from the graph; what is left in a graph of theirs is float32.
FLOAT_TYPES = {"fp16": openvino.Type.f16}
KINDS = {"u8": "uint8", "f32": "float32"}
# The operators that hold weights, as OpenVINO's executed graph names them.
LAYERS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
PRECISIONS = {"f32": "fp32", "f16": "fp16", "i8": "int8", "u8": "int8"}
BIAS_SUFFIX = "/WithoutBiases"  # added to the name of a layer whose bias was split off


class OpenVinoBackend(Backend):
    """A model in OpenVINO's CPU plugin."""

    name = "openvino"
    versions: ClassVar[dict[str, str]] = {"openvino": openvino.__version__.partition("-")[0]}

    def __init__(self, requests: Sequence[_Requests], options: BackendOptions) -> None:
        compiled = requests[-1].compiled
        self.providers = tuple(compiled.get_property(properties.execution_devices))
        self.threads = int(compiled.get_property(properties.inference_num_threads))
        self.workers = int(compiled.get_property(properties.num_streams))
        self.micro_batches = (options.micro_batch,) if options.micro_batch else MICRO_BATCHES
        self.executed = _executed(compiled)
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
            ports = [_port(entry) for entry in (*graph.inputs, *graph.outputs)]
        except Exception as error:
            raise _unloadable(model, error) from error
        check_interface(model, ports)
        settings = _settings(model.precision, options)
        try:
            graph = suit_matrix_units(graph, model.precision)
            requests = [_Requests(core, graph, sizes, settings) for sizes in _sizes(options)]
        except Exception as error:
            raise _unloadable(model, error) from error
        return cls(requests, options)

    def infer(self, faces: Faces) -> Logits:
        count = len(faces)
        try:
            return next(fit for fit in self._requests if fit.sizes[-1] >= count).infer(faces)
        except Exception as error:
            raise BackendError(f"openvino failed on {count} faces: {_reason(error)}") from error

    def close(self) -> None:
        del self._requests


class _Requests:
    """A compiled model for batches of some ascending sizes, and a request for each thread that calls."""

    def __init__(
        self,
        core: openvino.Core,
        graph: openvino.Model,
        sizes: tuple[int, ...],
        settings: dict[str, object],
    ) -> None:
        face_shape = tuple(size.get_length() for size in list(graph.input().partial_shape)[1:])
        if len(sizes) == 1:
            graph = graph.clone()
            graph.reshape([*sizes, *face_shape])
        self.compiled = core.compile_model(graph, DEVICE, settings)
        self.sizes = sizes
        self._face_shape = face_shape
        self._idle: list[_Request] = []  # its pop and append are atomic

    def infer(self, faces: Faces) -> Logits:
        try:
            request = self._idle.pop()
        except IndexError:
            request = _Request(self.compiled.create_infer_request(), self._face_shape, self.sizes)
        logits = request.infer(faces)
        self._idle.append(request)
        return logits


class _Request:
    """An inference request with an input buffer of its own, for one thread at a time."""

    def __init__(
        self, request: openvino.InferRequest, face_shape: tuple[int, ...], sizes: tuple[int, ...]
    ) -> None:
        self._request = request
        self._sizes = sizes
        self._buffer = np.zeros((sizes[-1], *face_shape), np.uint8)
        self._tensors = [openvino.Tensor(self._buffer[:size], shared_memory=True) for size in sizes]

    def infer(self, faces: Faces) -> Logits:
        self._buffer[: len(faces)] = faces
        self._request.set_input_tensor(self._tensors[bisect_left(self._sizes, len(faces))])
        self._request.infer(share_outputs=True)
        logits: Logits = self._request.get_output_tensor().data[: len(faces)].copy()
        return logits


def _saturates() -> bool:
    """Tell whether an x86 CPU has integer vectors but no VNNI, as far as the system says."""
    there = cpu.features()
    return there["avx2"] is True and there["avx_vnni"] is there["avx512_vnni"] is False


def _sizes(options: BackendOptions) -> list[tuple[int, ...]]:
    """Return the batch sizes that each model is compiled for: a dynamic one for several, else a fixed one."""
    largest = options.micro_batch or MICRO_BATCHES[-1]
    single = [(1,)] if options.mode == "latency" or largest == 1 else []
    several = [(*(size for size in SIZES if size < largest), largest)] if largest > 1 else []
    return single + several


def _settings(precision: str, options: BackendOptions) -> dict[str, object]:
    settings = {
        hint.inference_precision: FLOAT_TYPES.get(precision, openvino.Type.f32),
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


def _port(entry: openvino.Output) -> Port:
    shape = tuple("?" if size.is_dynamic else size.get_length() for size in entry.partial_shape)
    kind = entry.element_type.get_type_name()
    return Port(entry.get_any_name(), KINDS.get(kind, kind), shape)


def _executed(compiled: openvino.CompiledModel) -> dict[str, str]:
    """Return the precision of each layer as the executed graph states it."""
    found = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if info["layerType"].astype(str) in LAYERS:
            kind = info["runtimePrecision"].astype(str)
            found[node.get_friendly_name().removesuffix(BIAS_SUFFIX)] = PRECISIONS.get(kind, kind)
    return found


def _unloadable(model: Model, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"openvino cannot load the {model.precision} graph of {model.folder}: {_reason(error)}; "
        "run fer-export again"
    )


def _reason(error: Exception) -> str:
    """Return the first line of an OpenVINO error that says more than where it was raised."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.startswith("Exception from")), repr(error))
