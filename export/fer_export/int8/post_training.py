"""INT8 without training: what is measured on faces, and the graph that is made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_export.graph.heads import find_heads
from fer_export.int8.activation_ranges import measure_activation_ranges
from fer_export.int8.bias_correction import correct_biases, measure_bias_correction
from fer_export.int8.calibrate import Calibration, calibrate
from fer_export.int8.equalize import equalize, measure_equalization
from fer_export.int8.qdq import to_int8
from fer_export.int8.range_methods import drop_layers


def calibrate_int8(
    model: onnx.ModelProto,
    faces: NDArray[np.uint8],
    *,
    method: str,
    source: str,
    seed: int,
    spec: ModelSpec,
    advance: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """Measure scales, then the ranges of the equalized graph, then the bias correction of `method`.

    The heads of a detection are left in float.

    `faces` are uint8 [n, h, w] or [n, h, w, c]; `advance(count)` is called with the faces done, 5 n in
    all, then once for every layer.

    Raises:
        ConfigError: there are no faces, or `method` is unknown.
        ExportError: an input of a layer is always zero, or not finite.
    """
    scales = measure_equalization(model, faces, advance)
    equalized = equalize(model, scales)
    calibration = calibrate(equalized, faces, source=source, seed=seed, spec=spec, advance=advance)
    heads = list(find_heads(model, spec))
    ranges = drop_layers(calibration.of(method), heads)
    shifts = {method: measure_bias_correction(equalized, ranges, faces, advance)}
    # Of the graph as it came: equalizing does not help the CPU's file.
    cpu_ranges = measure_activation_ranges(model, faces, spec, advance)
    return dataclasses.replace(
        calibration, scales=scales, shifts=shifts, cpu_ranges=cpu_ranges, float_layers=heads
    )


def leave_in_float(
    model: onnx.ModelProto,
    calibration: Calibration,
    method: str,
    faces: NDArray[np.uint8],
    names: Collection[str],
) -> Calibration:
    """Return a calibration that leaves the layers `names` in float, beside those that it leaves already.

    Its bias correction is measured again on `faces`.
    """
    names = [*calibration.float_layers, *names]
    ranges = drop_layers(calibration.of(method), names)
    shifts = {method: measure_bias_correction(equalize(model, calibration.scales), ranges, faces)}
    return dataclasses.replace(calibration, shifts=shifts, float_layers=names)


def quantize(model: onnx.ModelProto, calibration: Calibration, method: str) -> onnx.ModelProto:
    """Return the INT8 graph of a float32 one: equalized, its biases corrected, its layers quantized.

    Raises:
        ConfigError: the calibration knows no such method, or its shifts are those of another one.
        ExportError: the calibration is that of another network.
    """
    if calibration.shifts and method not in calibration.shifts:
        raise ConfigError(
            f"the calibration corrects biases for the method {', '.join(calibration.shifts)}, not for "
            f"{method!r}; measure it again with --data"
        )
    equalized = equalize(model, calibration.scales)
    corrected = correct_biases(equalized, calibration.shifts.get(method, {}))
    return to_int8(corrected, drop_layers(calibration.of(method), calibration.float_layers))


def quantize_in_steps(
    model: onnx.ModelProto, calibration: Calibration, method: str, faces: NDArray[np.uint8], spec: ModelSpec
) -> dict[str, onnx.ModelProto]:
    """Return the INT8 graph of a float32 one after each step of `quantize`.

    `faces` are those that `calibration` was measured on.

    Returns:
        By the step's name, in order; each has the steps before it too.
    """
    plain = calibrate(model, faces, source=calibration.source, seed=calibration.seed, spec=spec)
    equalized = dataclasses.replace(calibration, shifts={}, float_layers=[])
    graphs = {
        "ranges by max": quantize(model, plain, "max"),
        f"ranges by {method}": quantize(model, plain, method),
        "equalization": quantize(model, equalized, method),
    }
    if calibration.float_layers:
        in_float = dataclasses.replace(equalized, float_layers=calibration.float_layers)
        graphs[f"in float: {', '.join(calibration.float_layers)}"] = quantize(model, in_float, method)
    graphs["bias correction"] = quantize(model, calibration, method)
    return graphs
