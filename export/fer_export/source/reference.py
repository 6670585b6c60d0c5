"""A given ONNX file, as `read_onnx_file` reads it, as the reference: its logits for normalized faces."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact import files
from fer_engine.artifact.artifact import ONNX_NAME, SPEC_NAME
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ExportError, first_line
from fer_engine.system.telemetry import without_telemetry
from fer_export.source.onnx_file import to_logits

with without_telemetry():
    import onnxruntime

OUTPUTS_NAME = "outputs.json"
FORMAT_VERSION = 1
BATCH = 64  # faces at once, where the file leaves it open


class OnnxReference:
    """A given ONNX file in ONNX Runtime on the CPU; `outputs` says what it gives, see `to_logits`.

    Raises:
        ConfigError: the file does not give what `outputs` says.
        ExportError: ONNX Runtime cannot load it.
    """

    def __init__(self, model: onnx.ModelProto, spec: ModelSpec, outputs: str) -> None:
        self.content = model.SerializeToString(deterministic=True)
        self.spec = dataclasses.replace(spec, checkpoint_sha256=hashlib.sha256(self.content).hexdigest())
        self.outputs = outputs
        logits = to_logits(model, spec, outputs).SerializeToString()
        try:
            self._session = onnxruntime.InferenceSession(logits, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class
            raise ExportError(
                f"ONNX Runtime cannot load the file given for {spec.name} ({first_line(error)})"
            ) from error
        self._input = self._session.get_inputs()[0]

    def logits(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits, float32 [n, labels], of raw faces, uint8 [n, *spec.face_shape].

        They are divided by the spec's temperature, as the file's are not.

        A file with a fixed batch gets its own; the last one is filled up with the last face.

        Raises:
            ExportError: ONNX Runtime cannot run the file.
        """
        fixed = self._input.shape[0] if isinstance(self._input.shape[0], int) else None
        size = fixed or BATCH
        parts = []
        for start in range(0, len(faces), size):
            pixels = self._normalized(faces[start : start + size])
            count = len(pixels)
            if fixed and count < fixed:
                pixels = np.concatenate([pixels, np.repeat(pixels[-1:], fixed - count, axis=0)])
            try:
                parts.append(self._session.run(None, {self._input.name: pixels})[0][:count])
            except Exception as error:  # onnxruntime's errors share no base class
                raise ExportError(
                    f"ONNX Runtime cannot run the file given for {self.spec.name} ({first_line(error)})"
                ) from error
        if not parts:
            return np.empty((0, self.spec.outputs), np.float32)
        return np.concatenate(parts) / np.float32(self.spec.temperature)

    def _normalized(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        mean, scale = (np.array(values, np.float32) for values in (self.spec.mean, self.spec.scale))
        pixels = faces.reshape(*faces.shape[:3], self.spec.channels).astype(np.float32)
        return np.ascontiguousarray(((pixels - mean) / scale).transpose(0, 3, 1, 2))

    def states_batch(self) -> bool:
        """Tell whether the file's own batch is true: some leave it open and run with one face alone."""
        if isinstance(self._input.shape[0], int):
            return True
        pair = np.zeros((2, *self.spec.face_shape), np.uint8)
        try:
            self.logits(pair)
        except ExportError:
            self.logits(pair[:1])
            return False
        return True

    def save(self, folder: Path) -> None:
        """Write the file, its spec and what it gives in place of `folder`."""
        outputs = {"format_version": FORMAT_VERSION, "outputs": self.outputs}
        with files.folder(folder) as fresh:
            (fresh / ONNX_NAME).write_bytes(self.content)
            (fresh / SPEC_NAME).write_text(json.dumps(self.spec.to_json(), indent=2) + "\n", "utf-8")
            (fresh / OUTPUTS_NAME).write_text(json.dumps(outputs, indent=2) + "\n", "utf-8")
