"""What every answer is held against.

It is PyTorch with the artifact's own checkpoint. An artifact of a ready ONNX file has no PyTorch network:
there it is ONNX Runtime on the artifact's float32 graph, which is also the baseline of the ratios.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import ArtifactError

PYTORCH = "pytorch"
ONNXRUNTIME = "onnxruntime"
TITLES = {PYTORCH: "PyTorch", ONNXRUNTIME: "ONNX Runtime in float32"}


def of_artifact(artifact: Artifact) -> str:
    """Return the contender that is the reference for an artifact.

    Raises:
        ArtifactError: its PyTorch weights are missing.
    """
    if artifact.is_from_onnx:
        return ONNXRUNTIME
    if not artifact.weights.is_file():
        weights = artifact.weights.relative_to(artifact.folder).as_posix()
        raise ArtifactError(
            f"{artifact.folder} holds no PyTorch weights ({weights}), against which parity is measured; "
            "run fer-export again"
        )
    return PYTORCH


def of_record(record: Mapping[str, Any]) -> str:
    """Return the contender that is the reference of a record; earlier ones do not name it."""
    name: str = record.get("reference", PYTORCH)
    return name


def title(record: Mapping[str, Any]) -> str:
    """Return what a report calls the reference of a record."""
    return TITLES[of_record(record)]
