"""The precision of a graph's layers: as the graph declares it, and as a runtime computes them.

A graph may say int8 and still run in float: a runtime that finds no integer kernel for a pattern
computes the dequantized values. So the precision is read back from the runtime's own optimized graph.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from fer_engine.backends.openvino.layers import executed_layers, inference_precision
from fer_engine.errors import BackendError, ConfigError, FerError, first_line
from fer_engine.system.telemetry import without_telemetry
from fer_export.graph.layers import CHANNEL_AXIS, PRODUCTS, Layer, Product
from fer_export.graph.temperature import is_temperature

Precisions = dict[str, str]  # of layers, by name
Shares = dict[str, float]  # by precision

ONNX_PRECISIONS = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}
# What the two runtimes call the operators that do a layer's multiply-adds.
INTEGER_OPERATORS = {
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
}
FLOAT_OPERATORS = {*CHANNEL_AXIS, "FusedConv", "FusedGemm", "FusedMatMul"}
NOT_FOUND = "not found"


def declared_precisions(model: onnx.ModelProto) -> Precisions:
    """Return the precision of every layer and other product by the graph's own types, by its node's name."""
    producers = {name: node for node in model.graph.node for name in node.output}
    kinds = {entry.name: ONNX_PRECISIONS.get(entry.data_type, "other") for entry in model.graph.initializer}

    def precision(node: onnx.NodeProto) -> str:
        sources = [producers.get(name) for name in node.input[:2]]
        if all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
            return "int8"
        return kinds.get(node.input[1], floats)  # a weight dequantized for a float input runs in float

    floats = "fp16" if "fp16" in kinds.values() else "fp32"
    return {node.name: precision(node) for node in model.graph.node if node.op_type in PRODUCTS}


@dataclass(frozen=True, slots=True)
class Execution:
    """How one runtime computes a graph's layers.

    `multiply_adds` and `layers` are the shares of each precision, by work and by number; `deviating`
    holds the layers that do not run as the graph declares them, with the precision that they run in.
    """

    runtime: str
    multiply_adds: Shares
    layers: Shares
    deviating: Precisions


def declared_shares(model: onnx.ModelProto, layers: Sequence[Layer | Product]) -> Shares:
    """Return the share of the multiply-adds that each precision has by the graph's own types.

    `layers` are those of the float32 graph and its other products; nodes keep their names in every precision.
    """
    return _shares(declared_precisions(model), {layer.name: layer.multiply_adds for layer in layers})


def read_back_precisions(
    model: onnx.ModelProto, layers: Sequence[Layer | Product], runtime: str = "onnxruntime"
) -> Execution:
    """Read back in which precision `runtime` computes each layer on this machine's CPU.

    A product that is no layer counts as it is declared where the runtime has fused it.

    Raises:
        ConfigError: there is no such runtime.
        BackendError: the runtime is not installed.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"cannot read back from runtime {runtime!r}; known: {', '.join(RUNTIMES)}")
    declared = declared_precisions(model)
    try:
        products = {layer.name: declared[layer.name] for layer in layers if isinstance(layer, Product)}
        executed = products | RUNTIMES[runtime](model)
    except FerError:
        raise
    except Exception as error:  # the runtimes' errors share no base class
        raise BackendError(
            f"{runtime} cannot load the graph ({first_line(error)}); export without what it lacks, or do "
            "without this runtime"
        ) from error
    return Execution(
        runtime,
        _shares(executed, {layer.name: layer.multiply_adds for layer in layers}),
        _shares(executed, {layer.name: 1 for layer in layers}),
        {
            layer.name: executed.get(layer.name, NOT_FOUND)
            for layer in layers
            if executed.get(layer.name) != declared.get(layer.name)
        },
    )


def _in_onnxruntime(model: onnx.ModelProto) -> Precisions:
    """Read the graph that ONNX Runtime's CPU provider runs.

    At the extended level: the last one only changes layouts, and hides names behind them.
    """
    with without_telemetry():
        import onnxruntime  # here: who builds plans from declared precisions needs no runtime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3  # it warns that a saved graph is tied to this machine: it stays here
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(path).graph
    types = {entry.name: entry.data_type for entry in graph.initializer}
    precisions = {}
    for node in graph.node:
        if node.op_type in INTEGER_OPERATORS:
            precisions[node.name] = "int8"
        elif node.op_type in FLOAT_OPERATORS:
            kind = types.get(node.input[1], TensorProto.FLOAT)
            precisions[node.name] = ONNX_PRECISIONS.get(kind, "other")
    return precisions


def _in_openvino(model: onnx.ModelProto) -> Precisions:
    """Read the graph that OpenVINO's CPU plugin runs."""
    try:
        with without_telemetry():
            import openvino
    except ImportError:
        raise BackendError(
            "OpenVINO is not installed, so nothing can be read back from it; "
            "pip install 'fer-engine[openvino]'"
        ) from None
    core = openvino.Core()
    half = "fp16" in declared_precisions(model).values()
    settings = {"INFERENCE_PRECISION_HINT": inference_precision(core, half=half)}  # as the engine asks for it
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)
    # An operator that gives an output of the graph is called by that output's name, also where the division
    # by the temperature is folded into its weights.
    producers: dict[str, str] = {}
    for node in model.graph.node:
        folded = node.op_type == "Cast" or is_temperature(node)
        name = producers.get(node.input[0], node.name) if folded else node.name
        producers |= dict.fromkeys(node.output, name)
    return {
        producers.get(name, name): precision
        for names, precision in executed_layers(compiled).items()
        for name in names
    }


RUNTIMES: dict[str, Callable[[onnx.ModelProto], Precisions]] = {
    "onnxruntime": _in_onnxruntime,
    "openvino": _in_openvino,
}


def _shares(precisions: Precisions, weights: dict[str, int]) -> Shares:
    """Add up the layers' weights by precision; a layer that is gone counts as such."""
    work: Counter[str] = Counter()
    for name, weight in weights.items():
        work[precisions.get(name, NOT_FOUND)] += weight
    total = work.total()
    return {precision: count / total for precision, count in sorted(work.items())}
