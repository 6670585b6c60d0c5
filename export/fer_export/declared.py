"""Which precision the layers of a graph have by its own types; needs no runtime."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from fer_export.layers import CHANNEL_AXIS

Precisions = dict[str, str]  # of layers, by name

ONNX_PRECISIONS = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}


def declared_precisions(model: onnx.ModelProto) -> Precisions:
    """Return the precision of every layer by the graph's own types, under the name of its node."""
    producers = {name: node for node in model.graph.node for name in node.output}
    kinds = {entry.name: ONNX_PRECISIONS.get(entry.data_type, "other") for entry in model.graph.initializer}

    def precision(node: onnx.NodeProto) -> str:
        sources = [producers.get(name) for name in node.input[:2]]
        if all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
            return "int8"
        return kinds.get(node.input[1], "fp32")  # a weight dequantized for a float input runs in float

    return {node.name: precision(node) for node in model.graph.node if node.op_type in CHANNEL_AXIS}
