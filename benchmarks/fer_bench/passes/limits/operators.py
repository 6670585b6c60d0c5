"""Measures how long a runtime spends in each operator, by its own counters: the worker's part of --profile.

The session is made for this alone, with the engine's settings (a test compares them): one thread and the
engine's micro-batch. Counting takes time itself, so read these times as shares.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Faces = NDArray[np.uint8]

WARMUP_RUNS = 5  # first touches, and kernels that are made when a shape is met first
RUNS = 60
LEAST_RUNS = 5
SECONDS = 2.0  # no run begins after that, once there were LEAST_RUNS

MILLISECOND = timedelta(milliseconds=1)
KERNEL_EVENT = "_kernel_time"  # ends the name of an operator's event in ONNX Runtime's trace


class Operator(NamedTuple):
    """`kernel` is OpenVINO's name of the code that ran, or type and shape of ONNX Runtime's first output."""

    name: str
    type: str
    kernel: str


Times = dict[Operator, list[float]]  # ms of each run


def profile_operators(
    faces: Faces, backend: str, file: str, precision: str, threads: int | None
) -> dict[str, Any]:
    """Run the graph of `file` on the faces, uint8 [n, 48, 48], and return the median ms of each operator.

    `threads` is None for the runtime's own choice; `run_ms` is the median of the whole run.
    """
    whole, times = PROFILERS[backend](faces, file, precision, threads)
    return {
        "faces": len(faces),
        "threads": threads,
        "runs": len(whole),
        "run_ms": statistics.median(whole),
        "operators": [
            {**operator._asdict(), "ms": statistics.median(taken)} for operator, taken in times.items()
        ],
    }


def _in_onnxruntime(
    faces: Faces,
    file: str,
    precision: str,  # noqa: ARG001 - the file has it
    threads: int | None,
) -> tuple[list[float], Times]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix="fer-bench.") as folder:
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: faces}
        whole = _timed_calls(lambda: session.run(None, feed))
        trace = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    return whole, read_trace(trace, len(whole))


def read_trace(trace: list[dict[str, Any]], runs: int) -> Times:
    """Return the times of each operator in the last `runs` runs of ONNX Runtime's trace."""
    times: Times = defaultdict(list)
    for event in trace:
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL_EVENT):
            arguments = event["args"]
            name = event["name"].removesuffix(KERNEL_EVENT)
            times[Operator(name, arguments["op_name"], _shape(arguments))].append(event["dur"] / 1e3)
    return {operator: taken[-runs:] for operator, taken in times.items()}


def _shape(arguments: dict[str, Any]) -> str:
    """Return type and shape of an operator's first output, as in "float 8x16x46x46"."""
    outputs = arguments.get("output_type_shape") or [{}]
    return ", ".join(f"{kind} {'x'.join(map(str, shape))}" for kind, shape in outputs[0].items())


def _in_openvino(faces: Faces, file: str, precision: str, threads: int | None) -> tuple[list[float], Times]:
    import openvino
    from openvino import properties
    from openvino.properties import hint

    from fer_engine.backends.openvino.backend import DEVICE
    from fer_engine.backends.openvino.folding import suit_matrix_units
    from fer_engine.backends.openvino.layers import inference_precision

    core = openvino.Core()
    float_precision = inference_precision(core, half=precision == "fp16")
    settings = {
        hint.inference_precision: float_precision,
        properties.num_streams: 1,
        hint.enable_cpu_pinning: False,
        properties.enable_profiling: True,
    }
    if threads is not None:
        settings[properties.inference_num_threads] = threads
    graph = suit_matrix_units(core.read_model(file), float_precision)
    request = core.compile_model(graph, DEVICE, settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(faces))
    times: Times = defaultdict(list)

    def count() -> None:
        for entry in request.profiling_info:
            if entry.status == openvino.ProfilingInfo.Status.EXECUTED:
                operator = Operator(entry.node_name, entry.node_type, entry.exec_type)
                times[operator].append(entry.real_time / MILLISECOND)

    return _timed_calls(lambda: request.infer(share_outputs=True), count), times


def _timed_calls(call: Callable[[], object], count: Callable[[], object] = lambda: None) -> list[float]:
    """Return the ms of each call after the warm-up; `count` is called after each, to read the counters."""
    for _ in range(WARMUP_RUNS):
        call()
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(taken) < RUNS and (len(taken) < LEAST_RUNS or time.perf_counter() < end):
        began = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - began) / 1e6)
        count()
    return taken


PROFILERS = {"onnxruntime": _in_onnxruntime, "openvino": _in_openvino}
