"""The reference: the contender with whose answers all others are compared.

It is PyTorch with the artifact's own checkpoint. An artifact that was made from an ONNX file has no PyTorch
network; its reference is ONNX Runtime on the float32 graph, which is also the baseline of the ratios.
"""

from __future__ import annotations

from typing import Final, Literal

from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import ArtifactError

Reference = Literal["pytorch", "onnxruntime"]  # a contender's name
PYTORCH: Final = "pytorch"
ONNXRUNTIME: Final = "onnxruntime"
TITLES: dict[Reference, str] = {PYTORCH: "PyTorch", ONNXRUNTIME: "ONNX Runtime in float32"}


def of_artifact(artifact: Artifact) -> Reference:
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
