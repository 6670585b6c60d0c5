"""INT8 as Q/DQ pairs: symmetric, per tensor for activations, per channel for weights.

A pair stands on the input of each convolution and matrix product and nowhere else: after ReLU, pool
and add, where a runtime can fuse across what stands between. Pairs after a convolution, as most
quantizers place them, round the sums of a residual module twice and cost agreement. Biases stay in
float: TensorRT takes no int32 ones.
"""

from __future__ import annotations

import copy

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from fer_engine.errors import ExportError
from fer_export.graph.edit import add_constant, replace_nodes
from fer_export.graph.layers import Layer, find_layers

INT8_MAX = 127


def to_int8(model: onnx.ModelProto, ranges: dict[str, float]) -> onnx.ModelProto:
    """Return a copy of a float32 graph with Q/DQ pairs on the inputs and weights of its layers.

    `ranges` maps a layer's name to its input's amax, the absolute value that 127 stands for; a layer that
    it does not name stays in float.

    Raises:
        ExportError: `ranges` names a layer that the graph does not have.
    """
    quantized = copy.deepcopy(model)
    graph = quantized.graph
    del graph.value_info[:]
    layers = {layer.node.output[0]: layer for layer in find_layers(quantized)}
    unknown = sorted(set(ranges) - {layer.name for layer in layers.values()})
    if unknown:
        raise ExportError(
            f"calibration names layers that {graph.name} does not have: {', '.join(unknown[:5])}; "
            "it was measured on another network: measure it again with --data"
        )
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        layer = layers.get(node.output[0])
        if layer is not None and layer.name in ranges:
            nodes.extend(_quantize_input(graph, layer, ranges[layer.name]))
            nodes.append(_quantize_weights(graph, layer))
        nodes.append(node)
    replace_nodes(graph, nodes)
    return quantized


def quantize_weights(weights: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 weights and the scale of each channel along `axis`, float32 [channels].

    A channel of zeros gets a scale of one.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.abs(weights).max(axis=others).astype(np.float32) / np.float32(INT8_MAX)
    scale = np.where(scale > 0, scale, np.float32(1))
    shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
    rounded = np.rint(weights / scale.reshape(shape))
    return np.clip(rounded, -INT8_MAX, INT8_MAX).astype(np.int8), scale


def make_pair(
    name: str, source: str, integer: str, output: str, parameters: list[str]
) -> list[onnx.NodeProto]:
    """Make the nodes that round `source` to `integer` and turn that into the float `output`.

    `parameters` are the names of the constants with scale and zero point.
    """
    return [
        helper.make_node("QuantizeLinear", [source, *parameters], [integer], name=f"{name}.quantize"),
        helper.make_node("DequantizeLinear", [integer, *parameters], [output], name=f"{name}.dequantize"),
    ]


def add_parameters(
    graph: onnx.GraphProto,
    name: str,
    scale: np.float32 | NDArray[np.float32],
    zero_point: np.integer | NDArray[np.integer],
) -> list[str]:
    """Store scale and zero point as constants; return their names."""
    values = {"scale": scale, "zero_point": zero_point}
    # ".quantize": a network may have a constant called "stem.scale" of its own.
    return [add_constant(graph, f"{name}.quantize.{kind}", value) for kind, value in values.items()]


def dequantize(
    graph: onnx.GraphProto,
    name: str,
    source: str,
    output: str,
    scale: np.float32 | NDArray[np.float32],
    zero_point: np.integer | NDArray[np.integer],
    axis: int | None = None,
) -> onnx.NodeProto:
    """Make the node that turns the integers `source` into the float `output`, and store its constants.

    `axis` is that of the channels, where each has a scale of its own.
    """
    inputs = [source, *add_parameters(graph, name, scale, zero_point)]
    return helper.make_node("DequantizeLinear", inputs, [output], name=f"{name}.dequantize", axis=axis)


def _quantize_input(graph: onnx.GraphProto, layer: Layer, amax: float) -> list[onnx.NodeProto]:
    """Make a pair for this layer alone: TensorRT fuses a layer with the pair that only it reads."""
    base = f"{layer.name}.input"
    parameters = add_parameters(graph, base, np.float32(amax / INT8_MAX), np.int8(0))
    source = layer.node.input[0]
    layer.node.input[0] = f"{base}.dequantized"
    return make_pair(base, source, f"{base}.int8", f"{base}.dequantized", parameters)


def _quantize_weights(graph: onnx.GraphProto, layer: Layer) -> onnx.NodeProto:
    base = f"{layer.name}.weight"
    values, scale = quantize_weights(layer.weights, layer.axis)
    stored = add_constant(graph, f"{base}.int8", values)
    layer.node.input[1] = f"{base}.dequantized"
    zero_point = np.zeros(len(scale), np.int8)
    return dequantize(graph, base, stored, layer.node.input[1], scale, zero_point, layer.axis)
