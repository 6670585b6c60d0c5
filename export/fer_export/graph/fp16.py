"""FP16 as casts in the graph: half from the first layer on, float32 before it and at the output."""

from __future__ import annotations

import copy

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ExportError
from fer_export.graph.edit import rename_in_nodes, replace_nodes
from fer_export.graph.heads import find_decoding
from fer_export.graph.layers import CHANNEL_AXIS
from fer_export.graph.temperature import is_temperature

FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16


def to_fp16(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return a copy whose layers, and all that follows them, compute in float16.

    What stands before the first layer stays in float32: the normalization of the raw faces, and that which a
    network does itself. So do the temperature and the boxes of a detection, which are pixels; the outputs
    come back as float32, so the interface is that of the float graph.

    Raises:
        ExportError: a weight does not fit float16.
    """
    half = copy.deepcopy(model)
    graph = half.graph
    del graph.value_info[:]
    tensors = _Tensors(model)
    decoded = find_decoding(model, spec)
    for node in graph.node:
        if is_temperature(node) or not decoded.isdisjoint(node.output):
            for place, name in enumerate(node.input):
                node.input[place] = tensors.read(name, FLOAT)
        elif node.op_type in CHANNEL_AXIS or not tensors.halved.isdisjoint(node.input):
            fixed = _float_inputs(node, model)
            for place, name in enumerate(node.input):
                node.input[place] = tensors.read(name, FLOAT if place in fixed else FLOAT16)
            if node.op_type != "Cast":  # that says itself what it gives
                tensors.halved.update(tensors.floats.intersection(node.output))
        tensors.nodes.append(node)
    for output in graph.output:
        if output.name in tensors.halved:
            inner = f"{output.name}.half"
            rename_in_nodes(tensors.nodes, output.name, inner)
            tensors.nodes.append(_cast(inner, output.name, FLOAT))
    graph.initializer.extend(tensors.constants)
    replace_nodes(graph, tensors.nodes)
    return half


class _Tensors:
    """The tensors of a float graph on their way to float16, and the new graph's `nodes` so far.

    `floats` are those of float32 in the old graph, `halved` those of float16 in the new one.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        values = (*inferred.value_info, *inferred.input, *inferred.output)
        self._weights = {entry.name: entry for entry in model.graph.initializer if entry.data_type == FLOAT}
        self.floats = {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}
        self.halved: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def read(self, name: str, kind: int) -> str:
        """Return the name of a tensor in the float type `kind`; tensors of other types keep theirs."""
        if name in self._weights:
            return name if kind == FLOAT else self._halve(name)
        if name not in self.floats or (kind == FLOAT16) == (name in self.halved):
            return name
        cast = f"{name}.fp16" if kind == FLOAT16 else f"{name}.fp32"
        if all(node.output[0] != cast for node in self.nodes):
            self.nodes.append(_cast(name, cast, kind))
        if kind == FLOAT16:
            self.halved.add(cast)
        return cast

    def _halve(self, name: str) -> str:
        half = f"{name}.fp16"
        if half not in self.halved:
            values = numpy_helper.to_array(self._weights[name])
            if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
                raise ExportError(
                    f"{name} holds {np.abs(values).max():.3g}, too large for float16; export without --fp16"
                )
            self.constants.append(numpy_helper.from_array(values.astype(np.float16), half))
            self.halved.add(half)
        return half


def _float_inputs(node: onnx.NodeProto, model: onnx.ModelProto) -> set[int]:
    """Return the places of the inputs that are float32 whatever the others are, as Resize's scales."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
    except onnx.defs.SchemaError:  # an operator that is not ONNX's own
        return set()
    return {place for place, entry in enumerate(schema.inputs) if entry.type_str == "tensor(float)"}


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=kind)
