"""FP16 as casts in the graph: half from the first layer on, float32 before it and at the output."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_engine.errors import ExportError
from fer_export.layers import CHANNEL_AXIS


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose layers, and all that follows them, compute in float16.

    The normalization of the raw faces stays in float32 and the logits come back as float32, so the
    interface is that of the float graph.

    Raises:
        ExportError: a weight does not fit float16.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    del graph.value_info[:]
    initializers = {entry.name: entry for entry in graph.initializer}
    halved: set[str] = set()  # tensors that are float16
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type in CHANNEL_AXIS or halved.intersection(node.input):
            for position, name in enumerate(node.input):
                if name in initializers or not name:
                    continue
                if name not in halved:
                    cast = f"{name}.fp16"
                    if cast not in halved:
                        nodes.append(_cast(name, cast, TensorProto.FLOAT16))
                        halved.add(cast)
                    node.input[position] = cast
            _halve_weights(node, initializers)
            halved.update(node.output)
        nodes.append(node)
    for output in graph.output:
        if output.name in halved:
            inner = f"{output.name}.fp16"
            _rename(nodes, output.name, inner)
            nodes.append(_cast(inner, output.name, TensorProto.FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)
    return half


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=kind)


def _halve_weights(node: onnx.NodeProto, initializers: dict[str, onnx.TensorProto]) -> None:
    for name in node.input:
        entry = initializers.get(name)
        if entry is None or entry.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(entry)
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            raise ExportError(
                f"{name} holds {np.abs(values).max():.3g}, too large for float16; export without --fp16"
            )
        entry.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name))


def _rename(nodes: list[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new
