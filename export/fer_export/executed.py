"""Which precision the layers of a graph have: as declared, and as a runtime really computes them.

A graph may say int8 and still run in float: a runtime that finds no integer kernel for a pattern
computes the dequantized values. So the share is read back from the runtime's own optimized graph.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto

from fer_export.layers import CHANNEL_AXIS, Layer

INTEGER_OPERATORS = {
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
}
FLOAT_OPERATORS = {*CHANNEL_AXIS, "FusedConv", "FusedGemm", "FusedMatMul"}
KINDS = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}

Shares = dict[str, float]


def declared_shares(model: onnx.ModelProto, layers: list[Layer]) -> Shares:
    """Return the share of the multiply-adds that each precision has by the graph's own types.

    `layers` are those of the float32 graph; nodes keep their names in every precision.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    kinds = {entry.name: KINDS.get(entry.data_type, "other") for entry in model.graph.initializer}

    def kind(node: onnx.NodeProto) -> str:
        sources = [producers.get(name) for name in node.input[:2]]
        if all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
            return "int8"
        return kinds.get(node.input[1], "fp32")  # a weight dequantized for a float input runs in float

    named = {node.name: kind(node) for node in model.graph.node if node.op_type in CHANNEL_AXIS}
    return _shares(named, layers)


def executed_shares(model: onnx.ModelProto, layers: list[Layer]) -> Shares:
    """Return the same shares as ONNX Runtime's CPU provider computes them.

    Read at the extended level: the last one only changes layouts, and hides names behind them.
    """
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3  # it warns that a saved graph is tied to this machine: it stays here
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(path).graph
    types = {entry.name: entry.data_type for entry in graph.initializer}
    kinds = {}
    for node in graph.node:
        if node.op_type in INTEGER_OPERATORS:
            kinds[node.name] = "int8"
        elif node.op_type in FLOAT_OPERATORS:
            kinds[node.name] = KINDS.get(types.get(node.input[1], TensorProto.FLOAT), "other")
    return _shares(kinds, layers)


def _shares(kinds: dict[str, str], layers: list[Layer]) -> Shares:
    """Weigh the kinds of the layers by their multiply-adds; a layer that is gone counts as such."""
    total = sum(layer.multiply_adds for layer in layers)
    work: Counter[str] = Counter()
    for layer in layers:
        work[kinds.get(layer.name, "not found")] += layer.multiply_adds
    return {kind: count / total for kind, count in sorted(work.items())}
