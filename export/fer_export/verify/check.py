"""Verification: only a graph that keeps its interface and agrees with the reference is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import BackendError, ExportError, first_line
from fer_engine.runtime.backend import available_backends
from fer_engine.system import progress
from fer_engine.system.telemetry import without_telemetry
from fer_export.graph.layers import Layer, Product, find_layers, find_products
from fer_export.graph.to_onnx import BATCH_AXIS
from fer_export.verify import executed
from fer_export.verify.comparison import COMPARISONS, AnyParity
from fer_export.verify.parity import relative_rmse
from fer_export.verify.samples import Samples

with without_telemetry():
    import onnxruntime

# Largest difference of a logit from the reference's, as a share of the logits' range; of a detection also
# that of a box's side.
FP32_TOLERANCE = 1e-4  # the same sums in another order
FP16_TOLERANCE = 1e-2  # eleven bits a factor through two dozen layers; 0.05 % is usual
# Root mean square difference as a share of the logits' standard deviation: good INT8 has 3 to 5 %;
# beyond this a scale is wrong, not coarse.
INT8_TOLERANCE = 0.25
TOLERANCES = {
    "fp32": FP32_TOLERANCE,
    "fp16": FP16_TOLERANCE,
    "int8": INT8_TOLERANCE,
    "int8-cpu": INT8_TOLERANCE,
}
BATCH = 64

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was measured of one graph; `difference` and `tolerance` are in the precision's measure.

    `declared` is the share of the multiply-adds in each precision by the graph's types, `executed` what
    each runtime at hand makes of it on this machine, `unable` why others at hand cannot run it.
    """

    samples: str
    batches: tuple[int, ...]
    difference: float
    tolerance: float
    parity: AnyParity
    quantize_nodes: int
    dequantize_nodes: int
    multiply_adds: int
    declared: executed.Shares
    executed: dict[str, executed.Execution]
    unable: dict[str, str]


def verify_graphs(
    graphs: Mapping[str, onnx.ModelProto],
    spec: ModelSpec,
    samples: Samples,
    reference: Logits,
    max_batch: int,
) -> dict[str, Verification]:
    """Check the graph of every precision, among them "fp32"; see `verify_graph`."""
    layers: list[Layer | Product] = [*find_layers(graphs["fp32"]), *find_products(graphs["fp32"])]
    verification = {}
    with progress.bar(f"verify on {samples.source}", len(graphs)) as advance:
        for precision, graph in graphs.items():
            verification[precision] = verify_graph(
                graph, precision, spec, layers, samples, reference, max_batch
            )
            advance(1)
    return verification


def verify_graph(
    model: onnx.ModelProto,
    precision: str,
    spec: ModelSpec,
    layers: Sequence[Layer | Product],
    samples: Samples,
    reference: Logits,
    max_batch: int,
) -> Verification:
    """Check one graph against the outputs `reference`, float32 [n, spec.outputs], on `samples`.

    It runs on all of them, then on batches of 1, 3 and `max_batch` (at least 1).

    Raises:
        ExportError: the graph is invalid, breaks the interface of `spec`, or differs too much.
    """
    check_interface(model, spec)
    run = _runner(model, precision, spec)
    count = len(samples.faces)
    logits = np.concatenate([run(samples.faces[start : start + BATCH]) for start in range(0, count, BATCH)])
    batches = (1, 3, max_batch)
    comparison = COMPARISONS[spec.task]
    spreads = [_spread(precision, part) for part in comparison.scales(reference)]

    def difference_from(expected: Logits, given: Logits) -> float:
        pairs = zip(comparison.scales(expected), comparison.scales(given), spreads, strict=True)
        return max(_difference(precision, *pair) for pair in pairs)

    differences = [difference_from(reference, logits)]
    for size in batches:
        rows = np.arange(size) % count
        differences.append(difference_from(reference[rows], run(samples.faces[rows])))
    difference = float(np.max(differences))
    _check_difference(difference, precision, spec)
    operators = [node.op_type for node in model.graph.node]
    read_back, unable = _read_back(model, layers)
    return Verification(
        samples=samples.source,
        batches=batches,
        difference=difference,
        tolerance=TOLERANCES[precision],
        parity=comparison.measure(reference, logits, samples.labels, spec),
        quantize_nodes=operators.count("QuantizeLinear"),
        dequantize_nodes=operators.count("DequantizeLinear"),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        declared=executed.declared_shares(model, layers),
        executed=read_back,
        unable=unable,
    )


def _read_back(
    model: onnx.ModelProto, layers: Sequence[Layer | Product]
) -> tuple[dict[str, executed.Execution], dict[str, str]]:
    """Return how each runtime at hand runs the graph, and for the others why they cannot."""
    found, unable = {}, {}
    for runtime in available_backends():
        if runtime not in executed.RUNTIMES:
            continue
        try:
            found[runtime] = executed.read_back_precisions(model, layers, runtime)
        except BackendError as error:
            unable[runtime] = str(error)
    return found, unable


def check_interface(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Check the graph with ONNX's own checker, then its names, types and axes.

    Raises:
        ExportError: it is invalid, or takes or gives something else than `spec` says.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"ONNX's checker refuses the graph of {spec.name} ({first_line(error)}); report this network"
        ) from error
    found = [_interface(value) for value in (*model.graph.input, *model.graph.output)]
    expected = [
        (INPUT_NAME, TensorProto.UINT8, [BATCH_AXIS, *spec.face_shape]),
        (spec.output, TensorProto.FLOAT, [BATCH_AXIS, spec.outputs]),
    ]
    if found != expected:
        raise ExportError(
            f"the graph of {spec.name} has the interface {found}, expected {expected}; report this network"
        )


def _interface(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
    kind = value.type.tensor_type
    return value.name, kind.elem_type, [dim.dim_param or dim.dim_value for dim in kind.shape.dim]


def _runner(model: onnx.ModelProto, precision: str, spec: ModelSpec) -> Callable[[NDArray[np.uint8]], Logits]:
    """Return a function that runs the graph on a batch of any size and checks the shape of its logits."""

    def failed(what: str, error: Exception) -> ExportError:
        return ExportError(
            f"ONNX Runtime cannot {what} the {precision} graph of {spec.name} ({first_line(error)}); "
            "update onnxruntime, or leave this precision out"
        )

    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise failed("load", error) from error

    def run(faces: NDArray[np.uint8]) -> Logits:
        try:
            logits: Logits = session.run(None, {INPUT_NAME: faces})[0]
        except Exception as error:
            raise failed(f"run {len(faces)} faces on", error) from error
        if logits.shape != (len(faces), spec.outputs):
            raise ExportError(
                f"{precision} graph of {spec.name} gave {logits.shape} for a batch of {len(faces)}: its "
                "batch is not dynamic; export the network with a dynamic batch"
            )
        return logits

    return run


def _spread(precision: str, reference: Logits) -> float:
    """Return what differences are a share of, of all that the reference gives: a few faces vary little."""
    return float(reference.std() if _is_int8(precision) else np.ptp(reference))


def _difference(precision: str, expected: Logits, logits: Logits, spread: float) -> float:
    """Return how far `logits` are from those `expected`, in the precision's measure."""
    if _is_int8(precision):
        return relative_rmse(expected, logits, spread)
    return float(np.abs(logits - expected).max() / spread)


def _check_difference(difference: float, precision: str, spec: ModelSpec) -> None:
    tolerance = TOLERANCES[precision]
    if not difference <= tolerance:  # what is not a number is refused too
        raise ExportError(
            f"{precision} graph of {spec.name} differs from the reference by {difference:.3g}, at most "
            f"{tolerance:g} is accepted (share of the logits' spread); "
            + ("calibrate on real faces with --data" if _is_int8(precision) else "report this network")
        )


def _is_int8(precision: str) -> bool:
    return precision.startswith("int8")
