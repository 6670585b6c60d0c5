"""The activations that a CPU keeps in uint8 between its integer operators.

Integer kernels of CPU runtimes take and give eight bits, so every convolution's output needs a
range as well as its input. Each range has a key made of layer names, which survives another export.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_export.graph.heads import find_heads
from fer_export.graph.layers import Layer, find_layers

LEVELS = 256
# What normalizes the faces, and what only moves them: see fer_train.loop.normalize.
ARITHMETIC = {"Cast", "Sub", "Div"}
LAYOUT = {"Unsqueeze", "Transpose"}

Operation = tuple[str, np.float32 | None]  # an operator and its constant


@dataclass(frozen=True, slots=True)
class RawFaces:
    """How the normalized faces come from uint8: `normalized` = (gray level - `zero_point`) * `scale`.

    `arithmetic` are the nodes that say so in float, `layout` those that only move values; the names
    of their first outputs.
    """

    normalized: str
    scale: float
    zero_point: int
    arithmetic: frozenset[str]
    layout: frozenset[str]


@dataclass(frozen=True, slots=True)
class Activations:
    """Which tensors of a float32 graph are kept in uint8.

    `keys` names the range of each such tensor, `measured` the tensors that each range must hold.
    `faces` is None where no scale and zero point give the normalized faces without loss.
    """

    keys: dict[str, str]
    measured: dict[str, list[str]]
    faces: RawFaces | None


def find_activations(model: onnx.ModelProto, spec: ModelSpec) -> Activations:
    """Choose the tensors of a float32 graph that stand between its integer operators.

    These share a range:
    - a convolution and the ReLU that alone reads it: saturation at zero is the ReLU;
    - a tensor and its max-pool: rounding and saturation keep the order, so they may come first, and
      the range need only hold what the pool lets through;
    - a tensor and what enlarges it by repeating values;
    - both addends of a sum and the sum: integers of one scale add up exactly, so that the sum of a
      residual module is not rounded a second time. Not where a ReLU makes only a part positive.

    The outputs of matrix products stay in float: they are few, and mostly logits. So do the heads of a
    detection.
    """
    graph = model.graph
    heads = find_heads(model, spec)
    layers = {layer.node.output[0]: layer for layer in find_layers(model) if layer.name not in heads}
    readers: dict[str, list[str]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node.op_type)
    faces = _raw_faces(graph, list(layers.values()), spec)
    chosen = _Choice(readers)
    for node in graph.node:
        layer = layers.get(node.output[0])
        if layer is None:
            if all(name in chosen.keys for name in (node.input[:1] if _repeats(node) else node.input)):
                chosen.follow(node)
            continue
        if layer.input not in chosen.keys and (faces is None or layer.input != faces.normalized):
            chosen.keep(layer.input, f"{layer.name}.input")
        if node.op_type == "Conv":
            chosen.keep(node.output[0], layer.name)
    return Activations(chosen.keys, chosen.measured, faces)


class _Choice:
    """Collects which tensors are kept, and which of them share a range; `readers` are operator types."""

    def __init__(self, readers: dict[str, list[str]]) -> None:
        self.keys: dict[str, str] = {}
        self.measured: dict[str, list[str]] = {}
        self._readers = readers
        self._positive: set[str] = set()  # keys of what a ReLU gave

    def keep(self, tensor: str, key: str) -> None:
        self.keys[tensor] = key
        self.measured[key] = [tensor]

    def follow(self, node: onnx.NodeProto) -> None:
        """Choose for an operator that is no layer and whose inputs are all kept."""
        source, output = node.input[0], node.output[0]
        alone = len(self._readers[source]) == 1
        if node.op_type == "Relu" and alone:
            key = self.keys.pop(source)
            self.keep(output, key)
            self._positive.add(key)
        elif node.op_type == "MaxPool":
            key = self.keys[output] = self.keys[source]
            if alone:
                self.measured[key] = [output if name == source else name for name in self.measured[key]]
        elif _repeats(node):
            self.keys[output] = self.keys[source]
        elif node.op_type == "Add":
            self._add(source, node.input[1], output)

    def _add(self, first: str, second: str, output: str) -> None:
        addends = {self.keys[first], self.keys[second]}
        positive = addends & self._positive
        key = f"{self.keys[first]}+{self.keys[second]}"
        self.keep(output, key)
        if self._readers[output] == ["Relu"] or positive not in (set(), addends):
            return
        self.measured[key] += [tensor for addend in sorted(addends) for tensor in self.measured.pop(addend)]
        self.keys.update({tensor: key for tensor, old in self.keys.items() if old in addends})
        if positive:
            self._positive.add(key)


def _repeats(node: onnx.NodeProto) -> bool:
    """Tell whether a node enlarges by the nearest value; its other inputs say by how much."""
    modes = {attribute.name: attribute.s for attribute in node.attribute}
    return node.op_type == "Resize" and modes.get("mode", b"nearest") == b"nearest"


def _raw_faces(graph: onnx.GraphProto, layers: list[Layer], spec: ModelSpec) -> RawFaces | None:
    """Walk back from the first layer to the faces, if one scale and zero point normalize them.

    None where the network computes something else before its first layer.
    """
    mean, scale = spec.mean[0], spec.scale[0]
    alike = len(set(spec.mean)) == len(set(spec.scale)) == 1
    if not (layers and alike and scale > 0 and mean in range(LEVELS)):
        return None
    producers = {name: node for node in graph.node for name in node.output}
    chain: list[onnx.NodeProto] = []
    tensor = layers[0].input
    while tensor in producers and producers[tensor].op_type in ARITHMETIC | LAYOUT:
        chain.insert(0, producers[tensor])
        tensor = chain[0].input[0]
    expected = _effective([("Sub", np.float32(mean)), ("Div", np.float32(scale))])
    if tensor != INPUT_NAME or _effective(_operations(graph, chain)) != expected:
        return None
    arithmetic = frozenset(node.output[0] for node in chain if node.op_type in ARITHMETIC)
    layout = frozenset(node.output[0] for node in chain if node.op_type in LAYOUT)
    return RawFaces(layers[0].input, 1 / scale, int(mean), arithmetic, layout)


def _operations(graph: onnx.GraphProto, chain: list[onnx.NodeProto]) -> list[Operation]:
    """Return what a chain of nodes does to a value; None for what is not one constant number."""
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    operations: list[Operation] = []
    for node in chain:
        if node.op_type in ("Sub", "Div"):
            values = np.unique(constants.get(node.input[1], np.empty(0)))
            operations.append((node.op_type, np.float32(values[0]) if len(values) == 1 else None))
    return operations


def _effective(operations: list[Operation]) -> list[Operation]:
    """Leave out what changes nothing, as an exporter may."""
    return [entry for entry in operations if entry not in (("Sub", np.float32(0)), ("Div", np.float32(1)))]
