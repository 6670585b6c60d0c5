"""Verification: an exported graph keeps its contract and gives PyTorch's answers, or is not written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto

from fer_engine.backend import at_hand
from fer_engine.errors import ConfigError, ExportError
from fer_engine.spec import INPUT_NAME, ModelSpec
from fer_export import executed
from fer_export.graph import BATCH_AXIS
from fer_export.layers import Layer
from fer_export.parity import Parity, measure

# Largest difference of a logit from the reference's, as a share of the logits' range.
FP32_TOLERANCE = 1e-4  # the same sums in another order
FP16_TOLERANCE = 1e-2  # eleven bits a factor through two dozen layers; 0.05 % is usual
# Root mean square difference as a share of the logits' standard deviation: good INT8 has 3 to 5 %;
# beyond this a scale is wrong rather than coarse.
INT8_TOLERANCE = 0.25
TOLERANCES = {
    "fp32": FP32_TOLERANCE,
    "fp16": FP16_TOLERANCE,
    "int8": INT8_TOLERANCE,
    "int8-cpu": INT8_TOLERANCE,
}
BATCH = 64


@dataclass(frozen=True, slots=True)
class Samples:
    """Faces to verify on, uint8 [n, ...]; labels [n] where there are any; what they are, in words."""

    faces: NDArray[np.uint8]
    labels: NDArray[Any] | None
    source: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was measured of one graph; `difference` and `tolerance` are in the precision's measure.

    `declared` is the share of the multiply-adds in each precision by the graph's types, `executed` what
    each runtime at hand makes of it on this machine.
    """

    samples: str
    batches: tuple[int, ...]
    difference: float
    tolerance: float
    parity: Parity
    quantize_nodes: int
    dequantize_nodes: int
    multiply_adds: int
    declared: executed.Shares
    executed: dict[str, executed.Execution]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def verify(
    model: onnx.ModelProto,
    precision: str,
    spec: ModelSpec,
    layers: list[Layer],
    samples: Samples,
    reference: NDArray[np.float32],
    max_batch: int,
) -> Verification:
    """Check one graph against the logits `reference`, float32 [n, classes], on `samples`.

    Raises:
        ExportError: the graph is invalid, breaks the interface of `spec`, or differs too much.
    """
    if max_batch < 1:
        raise ConfigError(f"max_batch must be at least 1, got {max_batch}")
    check_interface(model, spec)
    run = _runner(model, precision, spec)
    starts = range(0, len(samples.faces), BATCH)
    logits = np.concatenate([run(samples.faces[i : i + BATCH]) for i in starts])
    batches = (1, 3, max_batch)
    differences = [_difference(precision, reference, logits)]
    for size in batches:
        rows = np.arange(size) % len(samples.faces)
        part = run(samples.faces[rows])
        if part.shape != (size, len(spec.labels)):
            raise ExportError(
                f"{precision} graph gave {part.shape} for a batch of {size}: its batch is not dynamic"
            )
        # A few faces have a narrow range of their own: hold them against that of all.
        differences.append(_difference(precision, reference, part, reference[rows]))
    tolerance = TOLERANCES[precision]
    if not max(differences) <= tolerance:
        raise ExportError(
            f"{precision} graph of {spec.name} differs from the reference by {max(differences):.3g}, at most "
            f"{tolerance:g} is accepted (share of the logits' spread); "
            + ("calibrate on real faces with --data" if _is_int8(precision) else "report this network")
        )
    operators = [node.op_type for node in model.graph.node]
    return Verification(
        samples=samples.source,
        batches=batches,
        difference=max(differences),
        tolerance=tolerance,
        parity=measure(reference, logits, samples.labels, spec.task),
        quantize_nodes=operators.count("QuantizeLinear"),
        dequantize_nodes=operators.count("DequantizeLinear"),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        declared=executed.declared_shares(model, layers),
        executed={
            runtime: executed.read_back(model, layers, runtime)
            for runtime in at_hand()
            if runtime in executed.RUNTIMES
        },
    )


def check_interface(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Check the graph with ONNX's own checker, then its names, types and axes.

    Raises:
        ExportError: it is invalid, or takes or gives something else than `spec` says.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"ONNX's checker refuses the graph of {spec.name}: {error}") from error
    found = [_interface(value) for value in (*model.graph.input, *model.graph.output)]
    expected = [
        (INPUT_NAME, TensorProto.UINT8, [BATCH_AXIS, *spec.face_shape]),
        (spec.output, TensorProto.FLOAT, [BATCH_AXIS, len(spec.labels)]),
    ]
    if found != expected:
        raise ExportError(f"the graph of {spec.name} has the interface {found}, expected {expected}")


def _interface(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
    kind = value.type.tensor_type
    return value.name, kind.elem_type, [dim.dim_param or dim.dim_value for dim in kind.shape.dim]


def _runner(
    model: onnx.ModelProto, precision: str, spec: ModelSpec
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    def failed(what: str, error: Exception) -> ExportError:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return ExportError(f"ONNX Runtime cannot {what} the {precision} graph of {spec.name} ({lines[0]})")

    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise failed("load", error) from error

    def run(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            return session.run(None, {INPUT_NAME: faces})[0]
        except Exception as error:
            raise failed(f"run {len(faces)} faces on", error) from error

    return run


def _is_int8(precision: str) -> bool:
    return precision.startswith("int8")


def _difference(
    precision: str,
    reference: NDArray[np.float32],
    logits: NDArray[np.float32],
    expected: NDArray[np.float32] | None = None,
) -> float:
    """Return how far `logits` are from `expected` (the whole reference), in the precision's measure."""
    gap = logits - (reference if expected is None else expected)
    if _is_int8(precision):
        return float(np.sqrt(np.mean(np.square(gap))) / reference.std())
    return float(np.abs(gap).max() / np.ptp(reference))
