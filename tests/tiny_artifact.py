"""An artifact that only the null backend can load, made in no time."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest, ModelFile
from fer_engine.artifact.spec import ModelSpec


def write_tiny_artifact(folder: Path) -> Path:
    """Write an artifact called `tiny`, whose graphs hold a comment and nothing else; return its folder."""
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "model.safetensors").write_bytes(b"weights")
    files = {}
    for precision, name in (("fp32", "model.onnx"), ("int8", "model.int8.onnx")):
        comment = precision.encode() * 10
        content = bytes([6 << 3 | 2, len(comment)]) + comment  # the field doc_string of an ONNX model
        (folder / name).write_bytes(content)
        files[precision] = ModelFile(name, hashlib.sha256(content).hexdigest(), len(content))
    Artifact(folder, Manifest(ModelSpec("tiny"), files)).write_manifest()
    return folder
