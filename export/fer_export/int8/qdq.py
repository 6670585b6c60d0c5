"""INT8 as Q/DQ pairs: symmetric, per tensor for activations, per channel for weights.

A pair stands on the input of each convolution and matrix product and nowhere else: after ReLU, pool
and add, where a runtime can fuse across what stands between. Pairs after a convolution, as most
quantizers place them, round the sums of a residual module twice and cost agreement. Biases stay in
float: TensorRT takes no int32 ones.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from fer_engine.errors import ExportError
from fer_export.graph.layers import Layer, find_layers

INT8_MAX = 127


def to_int8(model: onnx.ModelProto, ranges: dict[str, float]) -> onnx.ModelProto:
    """Return a copy of a float32 graph with Q/DQ pairs on the inputs and weights of its layers.

    `ranges` maps a layer's name to the absolute value that 127 stands for; a layer that it does not
    name stays in float.

    Raises:
        ExportError: `ranges` names a layer that the graph does not have.
    """
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
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
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unused(graph)
    return quantized


def quantize_weights(weights: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 weights and the step of each channel along `axis`, float32 [channels].

    A channel of zeros gets a step of one.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    step = np.abs(weights).max(axis=others).astype(np.float32) / np.float32(INT8_MAX)
    step = np.where(step > 0, step, np.float32(1))
    shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
    rounded = np.rint(weights / step.reshape(shape))
    return np.clip(rounded, -INT8_MAX, INT8_MAX).astype(np.int8), step


def _quantize_input(graph: onnx.GraphProto, layer: Layer, reach: float) -> list[onnx.NodeProto]:
    """Make a pair for this layer alone: TensorRT fuses a layer with the pair that only it reads."""
    base = f"{layer.name}.input"
    step, zero = f"{base}.step", f"{base}.zero"
    graph.initializer.append(numpy_helper.from_array(np.float32(reach / INT8_MAX), step))
    graph.initializer.append(numpy_helper.from_array(np.int8(0), zero))
    source = layer.node.input[0]
    layer.node.input[0] = f"{base}.dequantized"
    return [
        helper.make_node("QuantizeLinear", [source, step, zero], [f"{base}.int8"], name=f"{base}.quantize"),
        helper.make_node(
            "DequantizeLinear",
            [f"{base}.int8", step, zero],
            [f"{base}.dequantized"],
            name=f"{base}.dequantize",
        ),
    ]


def _quantize_weights(graph: onnx.GraphProto, layer: Layer) -> onnx.NodeProto:
    base = f"{layer.name}.weight"
    values, step = quantize_weights(layer.weights, layer.axis)
    for name, array in (("int8", values), ("step", step), ("zero", np.zeros(len(step), np.int8))):
        graph.initializer.append(numpy_helper.from_array(array, f"{base}.{name}"))
    layer.node.input[1] = f"{base}.dequantized"
    return helper.make_node(
        "DequantizeLinear",
        [f"{base}.int8", f"{base}.step", f"{base}.zero"],
        [f"{base}.dequantized"],
        name=f"{base}.dequantize",
        axis=layer.axis,
    )


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [entry for entry in graph.initializer if entry.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
