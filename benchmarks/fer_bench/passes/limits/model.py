"""What a model asks for: multiply-adds and bytes an image."""

from __future__ import annotations

import math

import onnx
from onnx import TensorProto

from fer_bench.record.machine_limits import NetworkNeeds, Traffic
from fer_export.graph.layers import CHANNEL_AXIS, find_layers, shapes_of_one

WIDTHS = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}  # bytes of a value

# What reads its inputs from memory and writes its result where nothing is fused but what acts on single
# values: the layers, and what looks at several positions.
STAGES = {*CHANNEL_AXIS, "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean"}


def count_work(model: onnx.ModelProto) -> NetworkNeeds:
    """Return the work and the traffic of one image through a float32 graph.

    `bytes` holds for each precision the weights, the activations as `layered_values` counts them, and
    `faces_and_answers`, which cross the border of the graph in any case.

    Raises:
        ExportError: a layer's output shape cannot be inferred.
    """
    layers = find_layers(model)
    weights = sum(
        math.prod(entry.dims) for entry in model.graph.initializer if entry.data_type == TensorProto.FLOAT
    )
    sizes = _sizes(model)
    crossing = sizes[model.graph.input[0].name] + sizes[model.graph.output[0].name] * WIDTHS["fp32"]
    values = layered_values(model, sizes)
    return NetworkNeeds(
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        layers={layer.name: layer.multiply_adds for layer in layers},
        bytes={
            precision: Traffic(weights * width, values * width, crossing)
            for precision, width in WIDTHS.items()
        },
    )


def layered_values(model: onnx.ModelProto, sizes: dict[str, int]) -> int:
    """Count the values that one image moves where every layer, pool and mean reads and writes memory.

    Other operators act on single values and run inside the one before them, as the runtimes have it:
    they cost only the further tensors that they read, as the second operand of a residual sum.
    """
    moving = {model.graph.input[0].name}  # tensors that depend on the faces
    count = 0
    for node in model.graph.node:
        read = [name for name in node.input if name in moving]
        if not read:
            continue
        moving.update(node.output)
        if node.op_type in STAGES:
            count += sum(sizes[name] for name in read) + sizes[node.output[0]]
        else:
            count += sum(sizes[name] for name in read[1:])
    return count


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Return the number of values of every tensor, for one image."""
    taken = model.graph.input[0]
    face = math.prod(dim.dim_value for dim in taken.type.tensor_type.shape.dim[1:])
    return {name: math.prod(shape) for name, shape in shapes_of_one(model).items()} | {taken.name: face}
