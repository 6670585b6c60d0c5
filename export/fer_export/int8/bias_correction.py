"""Bias correction: rounding shifts the mean of a layer's output, and its bias can undo that.

Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
the empirical form: on faces, one layer after the other, each with those before it corrected.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from fer_engine.errors import ExportError
from fer_export.graph.layers import find_layers
from fer_export.graph.observe import observe_tensors
from fer_export.int8.qdq import to_int8

FACES = 128  # a mean needs fewer than a range, and every layer runs them again
DIGITS = 4  # of a stored shift: it is small beside the bias
CORRECTABLE = {"Conv", "Gemm"}  # have a bias of their own

BiasCorrection = dict[str, list[float]]


def measure_bias_correction(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    faces: NDArray[np.uint8],
    advance: Callable[[int], None] = lambda _: None,
) -> BiasCorrection:
    """Measure by how much INT8 raises the mean of each output channel of the layers that have a bias.

    `faces` are uint8 [n, ...]; of more than 128, at most so many are taken, at equal distances.
    `advance(1)` is called after every layer.
    """
    faces = faces[:: math.ceil(len(faces) / FACES)]
    outputs = {
        layer.name: layer.node.output[0]
        for layer in find_layers(model)
        if layer.name in ranges and layer.node.op_type in CORRECTABLE and len(layer.node.input) == 3
    }
    expected = _means(model, list(outputs.values()), faces)
    biases, quantized = _biases(model), to_int8(model, ranges)
    shifts: BiasCorrection = {}
    for name, tensor in outputs.items():
        means = _means(quantized, [tensor], faces)
        shifts[name] = [float(f"{value:.{DIGITS}g}") for value in means[tensor] - expected[tensor]]
        _subtract(quantized, biases[name], shifts[name])  # the layers behind it see it corrected
        advance(1)
    return shifts


def correct_biases(model: onnx.ModelProto, shifts: BiasCorrection) -> onnx.ModelProto:
    """Return a copy of a float32 graph with `shifts` subtracted from the biases of its layers.

    Raises:
        ExportError: `shifts` names a layer that the graph does not have, or has another width.
    """
    corrected = copy.deepcopy(model)
    biases = _biases(corrected)
    for name, shift in shifts.items():
        if not _subtract(corrected, biases.get(name, ""), shift):
            raise ExportError(
                f"bias correction does not fit {model.graph.name} at {name}; "
                "it was measured on another network: measure it again with --data"
            )
    return corrected


def _biases(model: onnx.ModelProto) -> dict[str, str]:
    """Return the initializer that holds each layer's bias, by the layer's name."""
    return {layer.name: layer.node.input[2] for layer in find_layers(model) if len(layer.node.input) == 3}


def _subtract(model: onnx.ModelProto, bias: str, shift: list[float]) -> bool:
    """Subtract `shift` from an initializer in place; return whether there is one of that size."""
    for entry in model.graph.initializer:
        if entry.name == bias and list(entry.dims) == [len(shift)]:
            values = numpy_helper.to_array(entry) - np.array(shift, np.float32)
            entry.CopyFrom(numpy_helper.from_array(values, bias))
            return True
    return False


def _means(
    model: onnx.ModelProto, tensors: list[str], faces: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Return the mean of each channel of `tensors` over faces and positions."""
    sums: dict[str, NDArray[np.float64]] = {}
    for values in observe_tensors(model, tensors, faces):
        for name, value in values.items():
            mean = value.mean(axis=tuple(range(2, value.ndim)), dtype=np.float64).sum(0)
            sums[name] = sums.get(name, 0) + mean
    return {name: total / len(faces) for name, total in sums.items()}
