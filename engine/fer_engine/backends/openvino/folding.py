"""Folds narrow depthwise convolutions into the pointwise ones behind them, for CPUs with matrix units.

A depthwise convolution of few channels fills a fraction of a vector, and waits for memory. Where a 1x1
convolution follows with nothing between, both are one linear map, so they can be one dense convolution:
more multiply-adds, but of the kind that matrix units do an order of magnitude faster. Below are the
factors that join their kernels: W[o, i, y, x] = P[o, i] D[i, y, x], and for the biases b + P d, since the
1x1 convolution pads nothing.
"""

from __future__ import annotations

import functools

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as opset
from openvino.passes import ConstantFolding, Manager
from openvino.properties import hint

# Up to here the dense convolution was faster than the two, in float16 with AMX; at 32 channels it was slower.
WIDEST = 16
LARGEST = np.finfo(np.float16).max


def suit_matrix_units(graph: openvino.Model, precision: str) -> openvino.Model:
    """Return `graph` folded where that is faster: in float16, on a CPU whose matrix units take it.

    `precision` is what OpenVINO is asked to compute float layers in, "f16" or "f32".
    """
    if precision != "f16" or not _half_on_matrix_unit():
        return graph
    return fold_depthwise(graph) or graph


@functools.cache
def _half_on_matrix_unit() -> bool:
    """Tell whether a convolution in float16 uses AMX; systems say that only of bfloat16 and int8."""
    faces = opset.parameter([1, WIDEST, 16, 16], np.float16)
    weights = opset.constant(np.zeros((WIDEST, WIDEST, 3, 3), np.float16))
    layer = opset.convolution(faces, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    settings = {hint.inference_precision: openvino.Type.f16}
    compiled = openvino.Core().compile_model(openvino.Model([layer], [faces]), "CPU", settings)
    kernels = [
        node.get_rt_info()["primitiveType"].astype(str) for node in compiled.get_runtime_model().get_ops()
    ]
    return any("amx" in kernel for kernel in kernels)


def fold_depthwise(graph: openvino.Model) -> openvino.Model | None:
    """Return a copy of `graph` with its narrow depthwise convolutions folded; None where it has none."""
    folded = graph.clone()
    passes = Manager()
    passes.register_pass(ConstantFolding())  # weights and biases come behind reshapes
    passes.run_passes(folded)
    count = sum(_fold(node) for node in folded.get_ordered_ops())
    folded.validate_nodes_and_infer_types()
    return folded if count else None


def _fold(pointwise: openvino.Node) -> bool:
    """Replace a 1x1 convolution and the narrow depthwise one before it; tell whether they were there."""
    if pointwise.get_type_name() != "Convolution":
        return False
    biased = pointwise.input_value(0).get_node()
    depthwise = biased.input_value(0).get_node() if biased.get_type_name() == "Add" else biased
    if not (_is_pointwise(pointwise) and _is_narrow_depthwise(depthwise)):
        return False
    kernels = _constant(depthwise, 1)  # [channels, 1, 1, y, x]
    mixing = _constant(pointwise, 1)  # [out, channels, 1, 1]
    offsets = _constant(biased, 1) if biased is not depthwise else np.zeros(1, np.float32)
    if kernels is None or mixing is None or offsets is None or not _is_only_use(biased, depthwise):
        return False
    if offsets.size > 1 and offsets.shape not in ((len(kernels), 1, 1), (1, len(kernels), 1, 1)):
        return False  # one value a position, not a channel
    kind = pointwise.get_output_element_type(0)
    settings = depthwise.get_attributes()
    weights = mixing[:, :, 0, 0, None, None] * kernels[:, 0, 0]
    if np.abs(weights).max() > LARGEST:
        return False
    dense = opset.convolution(
        depthwise.input_value(0),
        opset.constant(weights, kind),
        settings["strides"],
        settings["pads_begin"],
        settings["pads_end"],
        settings["dilations"],
        name=pointwise.get_friendly_name(),
    )
    shift = mixing[:, :, 0, 0] @ np.broadcast_to(offsets.ravel(), len(kernels))
    joined = opset.add(dense, opset.constant(shift[None, :, None, None], kind))
    for target in pointwise.output(0).get_target_inputs():
        target.replace_source_output(joined.output(0))
    return True


def _is_pointwise(node: openvino.Node) -> bool:
    settings = node.get_attributes()
    plain = settings["strides"] == [1, 1] and settings["auto_pad"] == "explicit"
    unpadded = settings["pads_begin"] == settings["pads_end"] == [0, 0]
    return plain and unpadded and list(node.input(1).get_shape())[2:] == [1, 1]


def _is_narrow_depthwise(node: openvino.Node) -> bool:
    if node.get_type_name() != "GroupConvolution" or node.get_attributes()["auto_pad"] != "explicit":
        return False
    groups, out, channels = list(node.input(1).get_shape())[:3]
    return groups <= WIDEST and out == channels == 1


def _is_only_use(*nodes: openvino.Node) -> bool:
    return all(len(node.output(0).get_target_inputs()) == 1 for node in nodes)


def _constant(node: openvino.Node, place: int) -> NDArray[np.float32] | None:
    source = node.input_value(place).get_node()
    return source.get_data(dtype=np.float32) if source.get_type_name() == "Constant" else None
