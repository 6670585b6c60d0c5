"""What every answer is held against.

It is PyTorch with the artifact's own checkpoint. An artifact of a ready ONNX file has no PyTorch network:
there it is ONNX Runtime on the artifact's float32 graph, which is also the baseline of the ratios.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_engine.artifact.manifest import Manifest
from fer_engine.errors import ArtifactError

PYTORCH = "pytorch"
ONNXRUNTIME = "onnxruntime"
TITLES = {PYTORCH: "PyTorch", ONNXRUNTIME: "ONNX Runtime in float32"}
CHECKPOINT = "checkpoint"  # folder of an artifact with the weights that its graphs were made from
WEIGHTS = "model.safetensors"  # in that folder


def of_artifact(folder: Path, manifest: Manifest) -> str:
    """Return the contender that is the reference for an artifact.

    Raises:
        ArtifactError: its PyTorch weights are missing.
    """
    if "outputs" in manifest.made.get("checkpoint", {}):  # only a given ONNX file has them
        return ONNXRUNTIME
    if not (folder / CHECKPOINT / WEIGHTS).is_file():
        raise ArtifactError(
            f"{folder} holds no PyTorch weights ({CHECKPOINT}/{WEIGHTS}), against which parity is measured; "
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
