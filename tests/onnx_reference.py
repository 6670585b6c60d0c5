"""Loads the reference that an export from an ONNX file keeps in its artifact."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx

from fer_engine.artifact.artifact import ONNX_NAME, SPEC_NAME
from fer_engine.artifact.schema import from_json, parse
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import CheckpointError
from fer_export.source.reference import FORMAT_VERSION, OUTPUTS_NAME, OnnxReference


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a given ONNX file gives: "logits" or "probabilities"."""

    format_version: int
    outputs: str


def load_reference(folder: Path) -> OnnxReference:
    """Load what `OnnxReference.save` wrote.

    Raises:
        CheckpointError: a file is missing, damaged, or does not belong to the others.
    """
    try:
        content = (folder / ONNX_NAME).read_bytes()
        spec = ModelSpec.loads((folder / SPEC_NAME).read_text("utf-8"))
        outputs = from_json(Outputs, parse((folder / OUTPUTS_NAME).read_bytes(), FORMAT_VERSION)).outputs
    except (OSError, ValueError) as error:  # of the file system, of text, and SchemaError
        raise CheckpointError(f"{folder} holds no whole ONNX reference of this release ({error})") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != spec.checkpoint_sha256:
        raise CheckpointError(f"{folder / ONNX_NAME} is not the file that {SPEC_NAME} vouches for")
    return OnnxReference(onnx.load_from_string(content), spec, outputs)
