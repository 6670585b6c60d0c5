"""OpenVINO through its performance hints, as its documentation advises before anything else.

LATENCY gives all cores to one request; THROUGHPUT opens streams, to be fed by an AsyncInferQueue with
several requests at once, so a batch is cut into parts. Shapes are fixed, which the documentation
prefers to dynamic ones: a batch size is compiled when it first comes, before the clock runs. On a CPU
with bfloat16 instructions OpenVINO computes a float32 graph in bfloat16 unless it is told otherwise,
so the precision of every layer is read back.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from openvino import properties
from openvino.properties import hint

from fer_bench.contenders.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from fer_bench.contenders.runtime import Settings

    Compile = Callable[[int], openvino.CompiledModel]

PART = 16  # faces a request: their activations fit a core's L2 cache


def load_latency(settings: Settings) -> Runtime:
    compiled = _compiler(settings, hint.PerformanceMode.LATENCY)

    @functools.cache
    def request(count: int) -> openvino.InferRequest:
        return compiled(count).create_infer_request()

    def predict(faces: np.ndarray) -> np.ndarray:
        logits: np.ndarray = request(len(faces)).infer([faces], share_inputs=True)[0]
        return logits

    info = _info(compiled(1))
    return Runtime(predict, splits=False, info=lambda: info)


def load_throughput(settings: Settings) -> Runtime:
    compiled = _compiler(settings, hint.PerformanceMode.THROUGHPUT)
    requests = compiled(1).get_property(properties.optimal_number_of_infer_requests)

    @functools.cache
    def queue(part: int) -> openvino.AsyncInferQueue:
        return openvino.AsyncInferQueue(compiled(part))

    def predict(faces: np.ndarray) -> np.ndarray:
        part = min(PART, math.ceil(len(faces) / requests))
        whole = len(faces) // part * part
        logits = _infer_parts(queue(part), faces[:whole], part)
        if rest := len(faces) - whole:
            logits += _infer_parts(queue(rest), faces[whole:], rest)
        return np.concatenate(logits)

    info = _info(compiled(1)) | {"requests": requests, "faces_a_request": f"at most {PART}"}
    return Runtime(predict, splits=False, info=lambda: info)


def _infer_parts(queue: openvino.AsyncInferQueue, faces: np.ndarray, part: int) -> list[np.ndarray]:
    """Return the logits of each part of the faces, in order."""
    found: dict[int, np.ndarray] = {}  # by where the part starts

    def keep(request: openvino.InferRequest, start: int) -> None:
        found[start] = request.get_output_tensor().data.copy()

    queue.set_callback(keep)
    for start in range(0, len(faces), part):
        queue.start_async([faces[start : start + part]], start, share_inputs=True)
    queue.wait_all()
    return [found[start] for start in sorted(found)]


def _compiler(settings: Settings, mode: hint.PerformanceMode) -> Compile:
    """Return what compiles the graph for a number of faces, once for each."""
    core = openvino.Core()
    graph = core.read_model(settings["file"])
    face_shape = [size.get_length() for size in list(graph.input().partial_shape)[1:]]
    wanted: dict[Any, Any] = {hint.performance_mode: mode}
    if settings["precision"] == "fp32":
        wanted[hint.inference_precision] = openvino.Type.f32
    if settings["threads"]:
        wanted[properties.inference_num_threads] = settings["threads"]

    @functools.cache
    def compiled(count: int) -> openvino.CompiledModel:
        fixed = graph.clone()
        fixed.reshape([count, *face_shape])
        return core.compile_model(fixed, "CPU", wanted)

    return compiled


def _info(compiled: openvino.CompiledModel) -> dict[str, Any]:
    """Return the settings in force; `executed` counts the convolutions by the precision they ran in."""
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    convolutions = [layer for layer in layers if layer["layerType"].astype(str) == "Convolution"]
    executed = Counter(layer["runtimePrecision"].astype(str) for layer in convolutions)
    return {
        "version": openvino.__version__.partition("-")[0],
        "threads": compiled.get_property(properties.inference_num_threads),
        "streams": compiled.get_property(properties.num_streams),
        "precision": compiled.get_property(hint.inference_precision).get_type_name(),
        "executed": dict(executed),
    }
