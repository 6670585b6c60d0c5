"""How to ask for an export or a plan: fer-export's command line, for messages and to run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_engine.artifact.artifact import Artifact

# What makes fer-export add a precision to float32.
PRECISION_OPTIONS = {"fp16": "--fp16", "int8": "--int8", "int8-cpu": "--int8"}


def example_command(output: Path) -> str:
    """Return a command that makes an artifact, where there is none to start from."""
    return f"fer-export --model mini_xception --output {output}"


def precision_command(artifact: Artifact, precision: str, *, force: bool = False) -> str:
    """Return the command that exports the artifact's own network again, in `precision` too.

    With `force` the precision is kept even if the gate refuses it.
    """
    arguments = [*_source_arguments(artifact), PRECISION_OPTIONS[precision]]
    arguments += ["--force"] if force else []
    return f"fer-export {shlex.join([*arguments, '--output', str(artifact.folder)])}"


def _source_arguments(artifact: Artifact) -> list[str]:
    """Return what makes fer-export start from the network that the artifact keeps."""
    source, spec = artifact.manifest.made.get("checkpoint", {}), str(artifact.checkpoint_spec)
    if "module" in source:
        return ["--module", str(source["module"]), "--checkpoint", str(artifact.weights), "--spec", spec]
    if artifact.is_from_onnx:
        return ["--onnx", str(artifact.given_onnx), "--outputs", str(source["outputs"]), "--spec", spec]
    shipped = source.get("path", "shipped") == "shipped"
    return ["--model", artifact.spec.name, *(() if shipped else ("--checkpoint", str(artifact.checkpoint)))]
