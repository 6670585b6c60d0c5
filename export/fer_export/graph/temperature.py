"""The temperature of a classification: the last node of its graph, which divides the logits in float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from fer_engine.artifact.spec import NO_TEMPERATURE, ModelSpec
from fer_export.graph.edit import add_constant, rename_in_nodes


def divide_by_temperature(graph: onnx.GraphProto, spec: ModelSpec) -> None:
    """Divide the output of a float graph by the spec's temperature, in place; at 1 no node is added."""
    if spec.temperature == NO_TEMPERATURE:
        return
    (output,) = (value.name for value in graph.output)
    given = f"{output}.uncalibrated"
    rename_in_nodes(graph.node, output, given)
    divisor = add_constant(graph, _name(output), np.float32(spec.temperature))
    graph.node.append(helper.make_node("Div", [given, divisor], [output], name=_name(output)))


def is_temperature(node: onnx.NodeProto) -> bool:
    """Tell whether a node is the one that `divide_by_temperature` adds."""
    return node.op_type == "Div" and node.name == _name(node.output[0])


def _name(output: str) -> str:
    return f"{output}.temperature"
