"""Calibration: the range of every layer's input, measured once on real faces and kept as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from fer_engine.errors import ArtifactError, ConfigError, ExportError
from fer_engine.spec import INPUT_NAME, ModelSpec
from fer_export.layers import find_layers
from fer_export.ranges import METHODS

FORMAT_VERSION = 1
BINS = 2048
BATCH = 32  # keeps the activations that are looked at together under a few megabytes


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranges of every layer's input by every method, and what they were measured on.

    `ranges[method][layer]` is the absolute value that int8's 127 stands for; `samples_sha256` is
    the hash of the faces' bytes; `source` says in words what they were.
    """

    checkpoint_sha256: str
    source: str
    samples: int
    seed: int
    samples_sha256: str
    ranges: dict[str, dict[str, float]]

    def of(self, method: str) -> dict[str, float]:
        """Return the ranges by one method.

        Raises:
            ConfigError: there is no such method.
        """
        if method not in self.ranges:
            raise ConfigError(f"unknown calibration method {method!r}; known: {', '.join(self.ranges)}")
        return self.ranges[method]

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
    names = {layer.name: layer.input for layer in layers}
    exact = {layer.name: _exact_reach(spec) for layer in layers if layer.raw}
    session = _session(model, sorted(set(names.values())))
    largest: dict[str, float] = dict.fromkeys(names.values(), 0.0)
    for tensor, values in _activations(session, faces, advance):
        largest[tensor] = max(largest[tensor], float(values.max(initial=0.0)))
    for name, tensor in names.items():
        if not 0 < largest[tensor] < np.inf:
            raise ExportError(
                f"the input of layer {name} reaches {largest[tensor]}, expected a positive finite range; "
                "check the checkpoint"
            )
    counts = {tensor: np.zeros(BINS, np.int64) for tensor in largest}
    for tensor, values in _activations(session, faces, advance):
        counts[tensor] += np.histogram(values, BINS, (0.0, largest[tensor]))[0]
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


def _exact_reach(spec: ModelSpec) -> float | None:
    """Return the reach at which int8's steps are those of the gray levels, so that nothing is lost.

    There is one where 128 is normalized to 0 by one scale; None elsewhere.
    """
    if set(spec.mean) == {128.0} and len(set(spec.scale)) == 1:
        return 127 / abs(spec.scale[0])
    return None


def _session(model: onnx.ModelProto, tensors: list[str]) -> onnxruntime.InferenceSession:
    """Open the graph with the given tensors as its outputs."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in tensors)
    return onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])


def _activations(
    session: onnxruntime.InferenceSession, faces: NDArray[np.uint8], advance: Callable[[int], None]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Run all faces; give each output's name with the absolute values of one batch."""
    names = [output.name for output in session.get_outputs()]
    for start in range(0, len(faces), BATCH):
        batch = np.ascontiguousarray(faces[start : start + BATCH])
        for name, values in zip(names, session.run(names, {INPUT_NAME: batch}), strict=True):
            yield name, np.abs(values)
        advance(len(batch))
