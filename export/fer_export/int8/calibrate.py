"""Calibration: the range of every layer's input, measured once on real faces and kept as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact.artifact import CALIBRATION_NAME
from fer_engine.artifact.schema import SchemaError, from_json, parse, to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError, ConfigError, ExportError
from fer_export.graph.layers import Layer, find_layers
from fer_export.int8.activations import find_activations
from fer_export.int8.histograms import measure_histograms
from fer_export.int8.range_methods import METHODS
from fer_train import checkpoint
from fer_train.fake_quant import exact_amax

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranges of every layer's input by every method, and what they were measured on.

    `ranges[method][layer]` is the absolute value that int8's 127 stands for, in the graph that is
    equalized by `scales` (as it came where there are none); `shifts[method]` is what INT8 with that
    method's ranges adds to the mean of each output channel there; `float_layers` names the layers that
    are left in float. `cpu_ranges` holds [lowest, highest] of each activation that a CPU keeps in uint8
    (see `fer_export.int8.activations`), in the graph as it came. `samples_sha256` is the hash of the faces'
    bytes; `source` says in words what they were.
    """

    checkpoint_sha256: str
    source: str
    samples: int
    seed: int
    samples_sha256: str
    ranges: dict[str, dict[str, float]]
    cpu_ranges: dict[str, list[float]] = field(default_factory=dict)
    scales: dict[str, list[float]] = field(default_factory=dict)
    shifts: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    float_layers: list[str] = field(default_factory=list)
    format_version: int = FORMAT_VERSION

    def of(self, method: str) -> dict[str, float]:
        """Return the ranges by one method.

        Raises:
            ConfigError: there is no such method.
        """
        if method not in self.ranges:
            raise ConfigError(f"unknown calibration method {method!r}; known: {', '.join(self.ranges)}")
        return self.ranges[method]

    def summary(self) -> dict[str, Any]:
        """Return where the ranges come from, without the ranges."""
        return {name: getattr(self, name) for name in ("source", "samples", "seed", "samples_sha256")}

    def dumps(self) -> str:
        """Return the JSON text of `calibration.json`."""
        return json.dumps({"format_version": FORMAT_VERSION} | to_json(self), indent=2) + "\n"

    @classmethod
    def loads(cls, text: str) -> Calibration:
        """Read `calibration.json`.

        Raises:
            ArtifactError: it is damaged or of another version.
        """
        try:
            return from_json(cls, parse(text, FORMAT_VERSION))
        except SchemaError as error:
            raise ArtifactError(
                f"calibration.json is damaged or of another release: {error}; measure it again with --data"
            ) from None


def calibrate(
    model: onnx.ModelProto,
    faces: NDArray[np.uint8],
    *,
    source: str,
    seed: int,
    spec: ModelSpec,
    advance: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """Measure the ranges of a float32 graph on `faces`, uint8 [n, h, w] or [n, h, w, c].

    `advance(count)` is called with the faces done, 2 n in all.

    Raises:
        ConfigError: there are no faces.
        ExportError: there is no layer, or the input of one is always zero, or not finite.
    """
    layers = find_layers(model)
    if not layers:
        raise ExportError(
            f"{model.graph.name} has no convolution and no matrix product with fixed weights: there is "
            "nothing to quantize; export without --int8"
        )
    keys: dict[str, str] = {}  # of each input the one key, though several layers may read it
    for layer in layers:
        keys.setdefault(layer.input, f"{layer.name}.input")
    inputs = {key: [tensor] for tensor, key in keys.items()}
    histograms = measure_histograms(model, inputs, faces, advance, absolute=True)
    exact = _exact_amaxes(model, layers, spec)
    ranges = {}
    for method, choose in METHODS.items():
        amaxes = {key: choose(found.counts, found.highest) for key, found in histograms.items()}
        ranges[method] = {layer.name: exact.get(layer.name) or amaxes[keys[layer.input]] for layer in layers}
    return Calibration(
        checkpoint_sha256=spec.checkpoint_sha256,
        source=source,
        samples=len(faces),
        seed=seed,
        samples_sha256=hashlib.sha256(faces.tobytes()).hexdigest(),
        ranges=ranges,
    )


def _exact_amaxes(model: onnx.ModelProto, layers: list[Layer], spec: ModelSpec) -> dict[str, float | None]:
    """Return, for the layers that read the faces, the amax that quantizes gray levels without loss."""
    faces = find_activations(model, spec).faces
    return {
        layer.name: exact_amax(spec)
        for layer in layers
        if faces is not None and layer.input == faces.normalized
    }


def shipped_calibration(spec: ModelSpec) -> Calibration:
    """Return the ranges that ship beside the checkpoint that `spec` names.

    Raises:
        ConfigError: none ship for exactly this checkpoint.
    """
    path = checkpoint.PRETRAINED / spec.name / CALIBRATION_NAME
    if path.exists():
        calibration = Calibration.loads(path.read_text("utf-8"))
        if calibration.checkpoint_sha256 == spec.checkpoint_sha256:
            return calibration
    raise ConfigError(
        f"--int8 needs faces to calibrate this checkpoint of {spec.name} on: give FER2013 with --data "
        "(ranges ship only for the checkpoint that ships)"
    )
