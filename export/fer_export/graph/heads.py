"""The heads of a detection, its last layers, and what turns their outputs into scores and boxes.

A head gives scores and sizes of boxes in one tensor, and a size is the exponential of what it gives: a step
of eight bits, wide enough for the scores, would change every size by several percent. Heads have few of the
multiply-adds, so they stay in float in INT8; what follows them computes pixels, and stays in float32 in FP16
as well.
"""

from __future__ import annotations

import onnx

from fer_engine.artifact.spec import ModelSpec
from fer_export.graph.layers import find_layers


def find_heads(model: onnx.ModelProto, spec: ModelSpec) -> dict[str, str]:
    """Return the output tensor of each layer behind which no other stands, by the layer's name.

    There are none where `spec` is no detection: its last layer gives the answers themselves.
    """
    if spec.task != "detection":
        return {}
    layers = {layer.node.output[0]: layer.name for layer in find_layers(model)}
    heads: dict[str, str] = {}
    feeding: set[str] = set()  # tensors that some layer depends on
    for node in reversed(model.graph.node):
        output = node.output[0]
        if output in layers and output not in feeding:
            heads[layers[output]] = output
        if output in layers or not feeding.isdisjoint(node.output):
            feeding.update(node.input)
    return heads


def find_decoding(model: onnx.ModelProto, spec: ModelSpec) -> set[str]:
    """Return the tensors that are computed from the heads' outputs; none where `spec` is no detection."""
    heads = set(find_heads(model, spec).values())
    decoded: set[str] = set()
    for node in model.graph.node:
        if not (heads | decoded).isdisjoint(node.input):
            decoded.update(node.output)
    return decoded
