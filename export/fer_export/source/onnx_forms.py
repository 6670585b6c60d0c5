"""Brings an ONNX file to one form: float32 [n, channels, height, width] in, float32 [n, outputs] out.

Nodes that move values are put in front and behind, and float16 is widened to float32: no answer changes but
by float16's rounding, which is gone.
"""

from __future__ import annotations

import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_export.graph.edit import replace_nodes

LEAST_IR = 4  # the first whose initializers need not be inputs as well
QUANTIZED = re.compile(r"(Quantize|Dequantize|DynamicQuantize)Linear|QLinear\w+|\w+Integer|QGemm|QAttention")
Tensor = onnx.ValueInfoProto


def check_float(model: onnx.ModelProto, name: str) -> None:
    """Check that no precision was chosen for the graph yet.

    Raises:
        ConfigError: it is quantized.
    """
    found = sorted({node.op_type for node in model.graph.node if QUANTIZED.fullmatch(node.op_type)})
    if found:
        raise ConfigError(
            f"{name} is quantized already ({', '.join(found)}), expected float32; give the file that it was "
            "made from, and the export quantizes that"
        )


def renew(model: onnx.ModelProto) -> None:
    """Let constants be no inputs, which files of before 2019 have them as."""
    constants = {entry.name for entry in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, LEAST_IR)


def widen_halves(model: onnx.ModelProto) -> bool:
    """Make float32 of all that is float16; tell whether there was any."""
    graph = model.graph
    halves = False
    for entry in graph.initializer:
        halves |= _widened(entry)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
            halves = True
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                halves |= _widened(attribute.t)
            elif attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
                halves = True
    return halves


def _widened(tensor: onnx.TensorProto) -> bool:
    if tensor.data_type != TensorProto.FLOAT16:
        return False
    values = numpy_helper.to_array(tensor).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return True


def keep_output(model: onnx.ModelProto, name: str | None, path: str) -> None:
    """Leave one output, that of the name where there are several.

    Raises:
        ConfigError: there is none of that name, or several and no name.
    """
    graph = model.graph
    held = ", ".join(f"{value.name} {described(value)}" for value in graph.output)
    if name is None and len(graph.output) > 1:
        raise ConfigError(f"{path} has {len(graph.output)} outputs; choose one with --onnx-output: {held}")
    chosen = [value for value in graph.output if name in (None, value.name)]
    if not chosen:
        raise ConfigError(f"{path} has no output {name!r}, it has {held}")
    if len(graph.output) > 1:
        del graph.output[:]
        graph.output.extend(chosen)
        replace_nodes(graph, list(graph.node))


def channels_first(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Let the graph take [n, channels, height, width] where it takes the channels last, or raw bytes."""
    graph = model.graph
    (value,) = graph.input
    sizes = (spec.channels, spec.height, spec.width)
    raw = value.type.tensor_type.elem_type == TensorProto.UINT8
    raw = raw and {*spec.mean} == {0.0} and {*spec.scale} == {1.0}
    last = not fits(value, sizes) and fits(value, (*sizes[1:], sizes[0]))
    name, front = value.name, []
    if last:
        front.append(helper.make_node("Transpose", [f"{name}.planes"], [name], perm=[0, 2, 3, 1]))
        name = f"{name}.planes"
    if raw:
        front.append(helper.make_node("Cast", [f"{name}.float"], [name], to=TensorProto.UINT8))
        name = f"{name}.float"
    if not front:
        return
    batch = value.type.tensor_type.shape.dim[0]
    taken = helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, *sizes])
    taken.type.tensor_type.shape.dim[0].CopyFrom(batch)
    graph.input[0].CopyFrom(taken)
    nodes = [*reversed(front), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def flatten_output(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Let the graph give [n, outputs] where it gives [n, outputs, 1, 1]."""
    (value,) = model.graph.output
    sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    if len(sizes) < 3 or sizes[1] != spec.outputs or set(sizes[2:]) != {1}:
        return
    name = f"{value.name}.flat"
    model.graph.node.append(helper.make_node("Flatten", [value.name], [name], axis=1))
    value.name = name
    del value.type.tensor_type.shape.dim[2:]


def fits(value: Tensor, sizes: tuple[int, ...]) -> bool:
    """Tell whether a value is [n, *sizes], where any size may be open."""
    found = [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
    if len(found) != 1 + len(sizes):
        return False
    return all(size in (None, wanted) for size, wanted in zip(found[1:], sizes, strict=True))


def described(value: Tensor) -> str:
    """Return the type and sizes of a value in words."""
    kind = value.type.tensor_type
    sizes = ", ".join(str(dim.dim_param or dim.dim_value or "?") for dim in kind.shape.dim)
    return f"{TensorProto.DataType.Name(kind.elem_type).lower()} [{sizes}]"
