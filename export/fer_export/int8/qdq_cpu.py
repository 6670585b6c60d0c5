"""INT8 for CPUs: uint8 activations around every integer operator, symmetric int8 weights.

The pairs stand where CPU runtimes have integer kernels: before and after each convolution with its
ReLU, around max-pools and sums. The faces are integers already: their normalization becomes scale
and zero point of the first convolution's input, so that no cast is left and nothing is lost.
"""

from __future__ import annotations

import copy

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import ExportError
from fer_export.graph.edit import add_constant, replace_nodes
from fer_export.graph.heads import find_heads
from fer_export.graph.layers import Layer, find_layers
from fer_export.int8.activation_ranges import Ranges
from fer_export.int8.activations import LEVELS, Activations, RawFaces, find_activations
from fer_export.int8.qdq import INT8_MAX, add_parameters, dequantize, make_pair

# AVX2 and AVX-512 without VNNI add two products of uint8 and int8 in sixteen bits, and saturate. Two
# weights of one sign that come to at most 128 together cannot: 255 * 128 < 2**15. Before rounding,
# which may lift each by a half, that is 127. Seven bits for all weights would cost each channel as
# much as this costs one whose two largest weights are equal.
PAIR_MAX = 127
BIAS_MAX = 2**30  # leaves an int32 sum room for the products

Quantization = tuple[np.float32, np.uint8]  # scale and zero point


def to_int8_cpu(model: onnx.ModelProto, ranges: Ranges, spec: ModelSpec) -> onnx.ModelProto:
    """Return a copy of a float32 graph with uint8 activations, int8 weights and int32 biases.

    `ranges` are those of `measure_activation_ranges`: the key of an activation and its [lowest, highest].

    Raises:
        ExportError: `ranges` does not name exactly the activations that the graph has.
    """
    quantized = copy.deepcopy(model)
    graph = quantized.graph
    del graph.value_info[:]
    activations = find_activations(quantized, spec)
    _check(ranges, activations, graph.name)
    heads = find_heads(model, spec)
    layers = {layer.node.output[0]: layer for layer in find_layers(quantized) if layer.name not in heads}
    parameters = {tensor: _quantization(*ranges[key]) for tensor, key in activations.keys.items()}
    nodes: list[onnx.NodeProto] = []
    first = activations.faces
    if first is not None:
        parameters[first.normalized] = np.float32(first.scale), np.uint8(first.zero_point)
        nodes.extend(_dequantize_faces(graph, first, *parameters[first.normalized]))
    for node in graph.node:
        tensor = node.output[0]
        if first is not None and tensor in first.arithmetic | first.layout:
            continue
        if tensor in layers:
            nodes.extend(_quantize_constants(graph, layers[tensor], parameters[node.input[0]][0]))
        nodes.append(node)
        if tensor in activations.keys:
            node.output[0] = f"{tensor}.float"
            stored = add_parameters(graph, activations.keys[tensor], *parameters[tensor])
            nodes.extend(make_pair(tensor, f"{tensor}.float", f"{tensor}.uint8", tensor, stored))
    replace_nodes(graph, nodes)
    return quantized


def quantize_weights(
    layer: Layer, smallest_scale: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 weights and the scale of each channel, float32 [channels], none below `smallest_scale`.

    No two weights of a channel saturate a sum of sixteen bits. Depthwise kernels have one weight a
    lane and widen each product by itself, so those weights use all of int8.
    """
    channels = np.moveaxis(layer.weights, layer.axis, 0).reshape(layer.weights.shape[layer.axis], -1)
    if layer.weights.shape[1] == 1 and layer.groups > 1:
        scale = np.abs(channels).max(1) / INT8_MAX
    else:
        ordered = np.sort(channels, 1)
        highest = np.maximum(ordered[:, -2:], 0).sum(1)
        lowest = np.minimum(ordered[:, :2], 0).sum(1)
        scale = np.maximum(highest, -lowest) / PAIR_MAX
    scale = np.maximum(scale.astype(np.float32), smallest_scale)
    scale = np.where(scale > 0, scale, np.float32(1))
    shape = [-1 if i == layer.axis else 1 for i in range(layer.weights.ndim)]
    return np.rint(layer.weights / scale.reshape(shape)).astype(np.int8), scale


def _check(ranges: Ranges, activations: Activations, name: str) -> None:
    different = sorted(set(ranges) ^ set(activations.measured))
    if different:
        raise ExportError(
            f"calibration and {name} differ in their activations: {', '.join(different[:5])}; "
            "it was measured on another network: measure it again with --data"
        )


def _quantization(lowest: float, highest: float) -> Quantization:
    scale = (highest - lowest) / (LEVELS - 1)
    return np.float32(scale), np.uint8(np.rint(-lowest / scale))


def _dequantize_faces(
    graph: onnx.GraphProto, faces: RawFaces, scale: np.float32, zero_point: np.uint8
) -> list[onnx.NodeProto]:
    """Move the faces as integers, and put their scale and zero point where the arithmetic was."""
    made = []
    tensor = INPUT_NAME
    for node in graph.node:
        if node.output[0] in faces.layout:
            moved = f"{node.output[0]}.uint8"
            made.append(helper.make_node(node.op_type, [tensor, *node.input[1:]], [moved], name=node.name))
            made[-1].attribute.extend(node.attribute)
            tensor = moved
    return [*made, dequantize(graph, INPUT_NAME, tensor, faces.normalized, scale, zero_point)]


def _quantize_constants(
    graph: onnx.GraphProto, layer: Layer, input_scale: np.float32
) -> list[onnx.NodeProto]:
    """Store weights as int8, and biases as int32 in the scale of the integer sums."""
    node = layer.node
    initializers = {entry.name: entry for entry in graph.initializer}
    channels = layer.weights.shape[layer.axis]
    bias = np.zeros(channels, np.float32)
    if len(node.input) > 2:
        bias = numpy_helper.to_array(initializers[node.input[2]])
    weights, scale = quantize_weights(layer, np.abs(bias) / (input_scale * np.float32(BIAS_MAX)))
    base = f"{layer.name}.weight"
    stored = add_constant(graph, f"{base}.int8", weights)
    node.input[1] = f"{base}.dequantized"
    made = [dequantize(graph, base, stored, node.input[1], scale, np.zeros(channels, np.int8), layer.axis)]
    if len(node.input) > 2:
        base = f"{layer.name}.bias"
        scale = input_scale * scale
        stored = add_constant(graph, f"{base}.int32", np.rint(bias / scale).astype(np.int32))
        node.input[2] = f"{base}.dequantized"
        made.append(dequantize(graph, base, stored, node.input[2], scale, np.zeros(channels, np.int32), 0))
    return made
