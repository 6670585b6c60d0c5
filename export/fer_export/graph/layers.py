"""Where a graph multiplies and adds: layers, with fixed weights, which INT8 takes, and other products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from fer_engine.errors import ExportError, first_line

# The axis of the weights that runs over the output channels.
CHANNEL_AXIS = {"Conv": 0, "Gemm": 1, "MatMul": 1}
LARGEST_CONSTANT = 1024  # values; shapes and scales, whose values decide the shape of others, have a few


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One convolution or matrix product.

    `name` comes from the weights' name in the PyTorch module, so it stays the same whatever names
    the exporter gives to nodes and tensors. `axis` is that of the output channels in `weights`.
    `multiply_adds` counts one image. `raw` is whether no other layer stands before: the input is the
    normalized faces.
    """

    name: str
    node: onnx.NodeProto
    weights: NDArray[np.float32]
    axis: int
    multiply_adds: int
    raw: bool

    @property
    def input(self) -> str:
        return self.node.input[0]

    @property
    def groups(self) -> int:
        """The number of groups of a convolution; 1 elsewhere."""
        return next((attribute.i for attribute in self.node.attribute if attribute.name == "group"), 1)


def find_layers(model: onnx.ModelProto) -> list[Layer]:
    """Return the layers of a float32 graph in its order.

    Raises:
        ExportError: a layer's output shape cannot be inferred.
    """
    weights = {entry.name: entry for entry in model.graph.initializer}
    shapes = shapes_of_one(model)
    found = []
    derived: set[str] = set()  # tensors that some layer had a part in
    for node in model.graph.node:
        raw = derived.isdisjoint(node.input)
        is_layer = _is_layer(node, weights)
        if is_layer or not raw:
            derived.update(node.output)
        if not is_layer:
            continue
        values = numpy_helper.to_array(weights[node.input[1]])
        axis = CHANNEL_AXIS[node.op_type]
        if node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute):
            axis = 0
        if node.output[0] not in shapes:
            raise ExportError(f"cannot infer the shape of {node.output[0]!r}; run onnx.checker on the graph")
        positions = math.prod(shapes[node.output[0]]) // values.shape[axis]
        name = node.input[1].removeprefix("network.").removesuffix(".weight")
        found.append(Layer(name, node, values, axis, positions * values.size, raw))
    return found


@dataclass(frozen=True, slots=True)
class Product:
    """Multiply-adds, of one image, in a node that is no layer and stays in float whatever the precision."""

    name: str
    multiply_adds: int


def find_products(model: onnx.ModelProto) -> list[Product]:
    """Return the nodes of a float32 graph that multiply and add but are no layers, in its order.

    Raises:
        ExportError: the graph's shapes contradict each other.
    """
    weights = {entry.name: entry for entry in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in PRODUCTS and not _is_layer(node, weights)]
    if not nodes:
        return []
    shapes = shapes_of_one(model) | {name: list(entry.dims) for name, entry in weights.items()}
    return [Product(node.name, PRODUCTS[node.op_type](node, shapes)) for node in nodes]


def _rows_by_columns(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> int:
    axis = 0 if any(a.name == "transA" and a.i for a in node.attribute) else -1
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][axis]


def _convolution(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> int:
    return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])


def _transposed_convolution(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> int:
    return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])


def _recurrence(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> int:
    """Count the weights of the input and of the state, once for each step."""
    steps = math.prod(shapes[node.input[0]][:2])
    return steps * sum(math.prod(shapes[name]) for name in node.input[1:3])


def _einsum(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> int:
    equation = next(a.s for a in node.attribute if a.name == "equation").decode()
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes = dict(
        pair
        for term, name in zip(terms, node.input, strict=True)
        for pair in zip(term, shapes[name], strict=True)
    )
    return math.prod(sizes.values())


PRODUCTS: dict[str, Callable[[onnx.NodeProto, Mapping[str, list[int]]], int]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Einsum": _einsum,
    "GRU": _recurrence,
    "Gemm": _rows_by_columns,
    "LSTM": _recurrence,
    "MatMul": _rows_by_columns,
    "RNN": _recurrence,
}


def _is_layer(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> bool:
    if node.op_type not in CHANNEL_AXIS or node.input[1] not in weights:
        return False
    # A vector or a stack of matrices has no axis of output channels: such a product stays in float.
    return node.op_type == "Conv" or len(weights[node.input[1]].dims) == 2


def shapes_of_one(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Infer the shape of every tensor for a batch of one.

    Raises:
        ExportError: they contradict each other.
    """
    single = _without_weights(model)
    for value in (single.graph.input[0], *single.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    try:
        inferred = onnx.shape_inference.infer_shapes(single, strict_mode=True, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise ExportError(
            f"the shapes of the graph do not fit a batch of one ({first_line(error)}); name the axes of "
            "squeeze() and reshape()"
        ) from error
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
    }


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its weights as inputs: shapes suffice here, and values may fill a gigabyte."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.functions.extend(model.functions)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for entry in model.graph.initializer:
        if math.prod(entry.dims) > LARGEST_CONSTANT:
            graph.input.append(onnx.helper.make_tensor_value_info(entry.name, entry.data_type, entry.dims))
        else:
            graph.initializer.append(entry)
    return light
