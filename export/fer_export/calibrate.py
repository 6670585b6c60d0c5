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

from fer_engine.errors import ArtifactError, ConfigError, ExportError
from fer_engine.spec import ModelSpec
from fer_export.activations import find_activations
from fer_export.layers import find_layers
from fer_export.observe import observe
from fer_export.ranges import METHODS
from fer_train import checkpoint
from fer_train.fake_quant import exact_reach

CALIBRATION_NAME = "calibration.json"
FORMAT_VERSION = 1
BINS = 2048


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranges of every layer's input by every method, and what they were measured on.

    `ranges[method][layer]` is the absolute value that int8's 127 stands for, in the graph that is
    equalized by `scales` (as it came where there are none); `shifts[method]` is what INT8 with that
    method's ranges adds to the mean of each output channel there; `float_layers` names the layers that
    are left in float. `cpu_ranges` holds [lowest, highest] of each activation that a CPU keeps in uint8
    (see `fer_export.activations`), in the graph as it came. `samples_sha256` is the hash of the faces'
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
        return {
            "source": self.source,
            "samples": self.samples,
            "seed": self.seed,
            "samples_sha256": self.samples_sha256,
        }

    def dumps(self) -> str:
        """Return the JSON text of `calibration.json`."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"format_version": FORMAT_VERSION, **fields}, indent=2) + "\n"

    @classmethod
    def loads(cls, text: str) -> Calibration:
        """Read `calibration.json`.

        Raises:
            ArtifactError: it is damaged or of another version.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            version = data.pop("format_version")
            if version != FORMAT_VERSION:
                raise ArtifactError(
                    f"calibration has format version {version!r}, this release reads {FORMAT_VERSION}; "
                    "measure it again with --data"
                )
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArtifactError(f"calibration is damaged ({error}); measure it again with --data") from None


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

    Two passes, so that memory does not grow with `n`: the largest values, then histograms up to
    them. `advance(count)` is called with the faces done, 2 n in all.

    Raises:
        ConfigError: there are no faces.
        ExportError: an input of a layer is always zero, or not finite.
    """
    if len(faces) == 0:
        raise ConfigError("calibration needs at least one face, got none; give a dataset with --data")
    layers = find_layers(model)
    if not layers:
        raise ExportError(
            f"{model.graph.name} has no convolution and no matrix product with fixed weights: there is "
            "nothing to quantize; export without --int8"
        )
    names = {layer.name: layer.input for layer in layers}
    faces_as_they_come = find_activations(model, spec).faces
    first = None if faces_as_they_come is None else faces_as_they_come.normalized
    exact = {layer.name: exact_reach(spec) for layer in layers if layer.input == first}
    largest: dict[str, float] = dict.fromkeys(names.values(), 0.0)
    for batch in observe(model, list(largest), faces, advance):
        for tensor, values in batch.items():
            largest[tensor] = max(largest[tensor], float(np.abs(values).max(initial=0.0)))
    for name, tensor in names.items():
        if not 0 < largest[tensor] < np.inf:
            raise ExportError(
                f"the input of layer {name} reaches {largest[tensor]}, expected a positive finite range; "
                "check the checkpoint"
            )
    counts = {tensor: np.zeros(BINS, np.int64) for tensor in largest}
    for batch in observe(model, list(largest), faces, advance):
        for tensor, values in batch.items():
            counts[tensor] += np.histogram(np.abs(values), BINS, (0.0, largest[tensor]))[0]
    reach = {
        method: {tensor: choose(counts[tensor], largest[tensor]) for tensor in largest}
        for method, choose in METHODS.items()
    }
    return Calibration(
        checkpoint_sha256=spec.checkpoint_sha256,
        source=source,
        samples=len(faces),
        seed=seed,
        samples_sha256=hashlib.sha256(faces.tobytes()).hexdigest(),
        ranges={
            method: {name: exact.get(name) or by_tensor[tensor] for name, tensor in names.items()}
            for method, by_tensor in reach.items()
        },
    )


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
