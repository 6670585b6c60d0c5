"""Cross-layer equalization: the channels of a tensor get the same amax, so that one scale suits them all.

A layer's output channel may be divided by any positive number if every layer that reads it multiplies
its weights by the same one, as long as only positive-homogeneous operators stand between: the network
computes the same function. Nagel et al. ("Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019) choose the numbers by the weights of both layers. Here the weights have a scale for
each channel and only the activations share one, so the activations are made alike, as Xiao et al. do
("SmoothQuant", 2022; its balance alpha is 1 here: a smaller one, which spares the weights, helped less).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from fer_engine.errors import ExportError
from fer_export.graph.layers import Layer, find_layers
from fer_export.graph.observe import observe_tensors

# op(s * x) = s * op(x) for every positive s, channel by channel.
HOMOGENEOUS = {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity", "Add"}
SCALABLE = {"Conv", "Gemm"}  # their channels lie on axis 1 of input and output
FLOOR = 1e-3  # of the largest channel: one that is dead on these faces must not be blown up
DIGITS = 4  # of a stored scale: any value near the best is as good, and the file stays small

Floats = NDArray[np.float32]
Scales = dict[str, list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Layers that write and read tensors whose channels must be scaled alike.

    A chain has one writer and one reader; a residual sum has several of both. `name` is that of the
    first reader.
    """

    writers: list[Layer]
    readers: list[Layer]

    @property
    def name(self) -> str:
        return self.readers[0].name


def find_groups(model: onnx.ModelProto) -> list[Group]:
    """Return all groups of a float32 graph that can be scaled, in its order."""
    uses = Counter(name for node in model.graph.node for name in node.input)
    layers = {
        layer.node.output[0]: layer
        for layer in find_layers(model)
        if layer.node.op_type in SCALABLE and all(uses[name] == 1 for name in layer.node.input[1:])
    }
    groups = []
    for tensors in _tied(model, set(layers)):
        writers = [layer for name, layer in layers.items() if name in tensors]
        readers = [layer for layer in layers.values() if layer.input in tensors]
        sizes = {layer.weights.shape[layer.axis] for layer in writers} | {_width(layer) for layer in readers}
        if writers and readers and len(sizes) == 1:
            groups.append(Group(writers, readers))
    return groups


def _tied(model: onnx.ModelProto, outputs: set[str]) -> list[set[str]]:
    """Return the sets of tensors that must be scaled alike, without those that cannot be scaled at all.

    `outputs` are those of the layers, which part one set from the next.
    """
    constants = {entry.name for entry in model.graph.initializer}
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    tied: dict[str, set[str]] = {}  # all members of a set share it
    for node in model.graph.node:
        if node.output[0] in outputs:
            parts = [{node.input[0]}, {node.output[0]}]
        else:
            parts = [{*node.input, *node.output}]
            if node.op_type not in HOMOGENEOUS or not constants.isdisjoint(node.input):
                fixed |= parts[0]
        for part in parts:
            merged = part.union(*(tied.get(name, ()) for name in part))
            tied.update(dict.fromkeys(merged, merged))
    return [members for members in {id(m): m for m in tied.values()}.values() if fixed.isdisjoint(members)]


def measure_equalization(
    model: onnx.ModelProto,
    faces: NDArray[np.uint8],
    advance: Callable[[int], None] = lambda _: None,
) -> Scales:
    """Measure what to divide each group's channels by: their amax on `faces`, uint8 [n, ...].

    A channel's amax is the largest value of a batch, averaged over the batches: one face in
    thousands must not set it. `advance(count)` is called with the faces done.

    Returns:
        By the group's name, a scale for each channel; their geometric mean is 1.
    """
    groups = find_groups(model)
    sums = {layer.input: np.float32(0) for group in groups for layer in group.readers}
    for batch in observe_tensors(model, list(sums), faces, advance):
        for name, values in batch.items():
            sums[name] = sums[name] + np.abs(values).max(axis=(0, *range(2, values.ndim)))
    scales = {}
    for group in groups:
        amax = np.max([sums[layer.input] for layer in group.readers], axis=0)
        logarithm = np.log(np.maximum(amax, FLOOR * amax.max()))
        scale = np.exp(logarithm - logarithm.mean())
        scales[group.name] = [float(f"{value:.{DIGITS}g}") for value in scale]
    return scales


def equalize(model: onnx.ModelProto, scales: Scales) -> onnx.ModelProto:
    """Return a copy of a float32 graph with the channels of its groups divided by `scales`; its logits stay.

    Raises:
        ExportError: `scales` names a group that the graph does not have, or has another width.
    """
    equalized = copy.deepcopy(model)
    groups = {group.name: group for group in find_groups(equalized)}
    widths = {name: _width(group.readers[0]) for name, group in groups.items()}
    wrong = sorted(name for name, scale in scales.items() if widths.get(name) != len(scale))
    if wrong:
        raise ExportError(
            f"equalization does not fit {model.graph.name} at {', '.join(wrong[:5])}; "
            "it was measured on another network: measure it again with --data"
        )
    initializers = {entry.name: entry for entry in equalized.graph.initializer}

    def multiply(name: str, factor: NDArray[Any]) -> None:
        entry = initializers[name]
        values = numpy_helper.to_array(entry) * factor
        entry.CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))

    for name, values in scales.items():
        scale = np.array(values, np.float32)
        for layer in groups[name].writers:
            shape = [-1 if axis == layer.axis else 1 for axis in range(layer.weights.ndim)]
            multiply(layer.node.input[1], 1 / scale.reshape(shape))
            for bias in layer.node.input[2:]:
                multiply(bias, 1 / scale)
        for layer in groups[name].readers:
            multiply(layer.node.input[1], _by_column(layer, scale))
    return equalized


def _width(layer: Layer) -> int:
    """Return the number of a layer's input channels."""
    return int(layer.weights.shape[1 - layer.axis]) * layer.groups


def _by_column(layer: Layer, scale: Floats) -> Floats:
    """Shape one value for each input channel so that it multiplies the layer's weights."""
    if layer.node.op_type == "Gemm":
        return scale if layer.axis == 0 else scale[:, None]
    outputs, inputs = layer.weights.shape[:2]
    rows = np.repeat(scale.reshape(-1, inputs), outputs // layer.groups, axis=0)
    return rows.reshape(outputs, inputs, *[1] * (layer.weights.ndim - 2))
