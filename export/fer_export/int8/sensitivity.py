"""What each layer costs in INT8, and which few layers to leave in float for a target agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_export.graph.layers import find_layers
from fer_export.graph.observe import run_graph
from fer_export.int8.qdq import to_int8
from fer_export.int8.range_methods import drop_layers
from fer_export.verify.comparison import COMPARISONS
from fer_export.verify.parity import relative_rmse


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close a graph's outputs are to the float graph's.

    `agreement` is that of `verify.parity`, or of `verify.detections` for a detection; `relative_rmse` is that
    of the logits or of a detection's scores.
    """

    agreement: float
    relative_rmse: float


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer's part in the loss: when it alone is in INT8, and when it alone is left in float."""

    name: str
    multiply_adds: int
    alone: Closeness
    left_out: Closeness


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The cost of every layer, in the graph's order, and that of all together."""

    faces: int
    all_int8: Closeness
    layers: tuple[LayerCost, ...]


@dataclass(frozen=True, slots=True)
class FloatLayers:
    """Layers left in float for a target agreement, and the agreement that they give.

    `share` is their part of the network's multiply-adds.
    """

    names: tuple[str, ...]
    share: float
    target: float
    agreement: float


def measure_sensitivity(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    faces: NDArray[np.uint8],
    spec: ModelSpec,
    advance: Callable[[int], None] = lambda _: None,
) -> Sensitivity:
    """Quantize each layer alone, and all but each, and compare with the float graph on `faces`.

    `advance(1)` is called after every layer that `ranges` names.

    Raises:
        ConfigError: there are no faces.
    """
    closeness = _against_float(model, faces, spec)
    costs = []
    for layer in find_layers(model):
        if layer.name in ranges:
            alone = closeness({layer.name: ranges[layer.name]})
            left_out = closeness(drop_layers(ranges, {layer.name}))
            costs.append(LayerCost(layer.name, layer.multiply_adds, alone, left_out))
            advance(1)
    return Sensitivity(len(faces), closeness(ranges), tuple(costs))


def choose_float_layers(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    faces: NDArray[np.uint8],
    spec: ModelSpec,
    sensitivity: Sensitivity,
    target: float,
) -> FloatLayers:
    """Leave layers in float, at the fewest multiply-adds, until `target` agreement is reached on `faces`.

    Finding the very fewest would take every subset. Layers are taken by the squared error that each makes for
    a multiply-add, most first; then those without which the target still holds are given back, the
    costliest first. All of them in float always reach it.

    Raises:
        ConfigError: `target` is not a share in (0, 1], or there are no faces.
    """
    if not 0 < target <= 1:
        raise ConfigError(f"the target agreement must be in (0, 1], got {target}; 0.99 asks for 99 %")
    closeness = _against_float(model, faces, spec)
    work = {cost.name: cost.multiply_adds for cost in sensitivity.layers}
    rate = {cost.name: cost.alone.relative_rmse**2 / cost.multiply_adds for cost in sensitivity.layers}
    waiting = sorted(rate, key=rate.__getitem__)
    chosen: set[str] = set()
    agreement = closeness(ranges).agreement
    while agreement < target and waiting:
        chosen.add(waiting.pop())
        agreement = closeness(drop_layers(ranges, chosen)).agreement
    for name in sorted(chosen, key=work.__getitem__, reverse=True):
        given_back = closeness(drop_layers(ranges, chosen - {name})).agreement
        if given_back >= target:
            chosen.remove(name)
            agreement = given_back
    total = sum(layer.multiply_adds for layer in find_layers(model))
    names = tuple(name for name in work if name in chosen)  # in the graph's order
    return FloatLayers(names, sum(work[name] for name in names) / total, target, agreement)


def _against_float(
    model: onnx.ModelProto, faces: NDArray[np.uint8], spec: ModelSpec
) -> Callable[[dict[str, float]], Closeness]:
    """Run the float graph once; return a function that compares it with INT8 by given ranges."""
    comparison, reference = COMPARISONS[spec.task], run_graph(model, faces)
    values = comparison.scales(reference)[0]

    def closeness(ranges: dict[str, float]) -> Closeness:
        outputs = run_graph(to_int8(model, ranges), faces)
        agreement = comparison.measure(reference, outputs, None, spec).agreement
        return Closeness(agreement, relative_rmse(values, comparison.scales(outputs)[0]))

    return closeness
