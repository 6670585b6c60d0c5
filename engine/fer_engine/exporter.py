"""How to ask fer-export for an artifact or a plan: the command that a message names, and its run here."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine.errors import BackendError
from fer_engine.system import progress

if TYPE_CHECKING:
    from fer_engine.artifact.artifact import Artifact
    from fer_engine.artifact.plan import Plan, Profile

MODEL = "mini_xception"  # what fer-export takes unless told otherwise, and so fer-bench
EXPORTER = ("-m", "fer_export.cli")  # what Python runs
BUILD_NEEDS = ("fer_export", "onnx")  # to build a plan from a graph that is there
# What adds a precision to float32.
PRECISION_OPTIONS = {"fp16": "--fp16", "int8": "--int8", "int8-cpu": "--int8"}
# What asks for the plan of a library, by the library's module.
PLAN_OPTIONS = {"tensorrt": "--tensorrt", "tensorrt_rtx": "--tensorrt-rtx"}


def model_command(model: str, output: Path | str) -> str:
    """Return the command that exports a network which ships with the package."""
    return f"fer-export --model {model} --output {output}"


def precision_command(artifact: Artifact, precision: str, *, force: bool = False) -> str:
    """Return the command that exports the artifact's own network again, in `precision` too.

    With `force` the precision is kept even if the gate refuses it.
    """
    arguments = [*_source_arguments(artifact), PRECISION_OPTIONS[precision], *(["--force"] if force else [])]
    return f"fer-export {shlex.join([*arguments, '--output', str(artifact.folder)])}"


def _source_arguments(artifact: Artifact) -> list[str]:
    """Return what makes fer-export start from the network that the artifact keeps."""
    origin, spec = artifact.manifest.made.checkpoint, str(artifact.checkpoint_spec)
    if origin.module is not None:
        return ["--module", origin.module, "--checkpoint", str(artifact.weights), "--spec", spec]
    if origin.outputs is not None:
        return ["--onnx", str(artifact.given_onnx), "--outputs", origin.outputs, "--spec", spec]
    checkpoint = [] if origin.path == "shipped" else ["--checkpoint", str(artifact.checkpoint)]
    return ["--model", artifact.spec.name, *checkpoint]


def plan_command(
    artifact: Path, flavour: str, precision: str, compute_capability: str, like: Plan | None = None
) -> str:
    """Return the command that builds the plan of `plan_arguments`."""
    arguments = plan_arguments(artifact, flavour, precision, compute_capability, like)
    return f"fer-export {shlex.join(arguments)}"


def all_plans_command(artifact: Path, flavour: str) -> str:
    """Return the command that builds the plans of every graph of an artifact."""
    return f"fer-export --artifact {artifact} {PLAN_OPTIONS[flavour]}"


def plan_arguments(
    artifact: Path, flavour: str, precision: str, compute_capability: str, like: Plan | None = None
) -> list[str]:
    """Return the arguments that build a plan for one GPU from the graph of the artifact in a folder.

    `like` is a plan whose profiles and compatibility the new one shall have.
    """
    arguments = ["--artifact", str(artifact), PLAN_OPTIONS[flavour], "--engine-precision", precision]
    if flavour == "tensorrt_rtx":  # the other flavour builds for the GPU that it finds
        arguments += ["--target", compute_capability]
    if like is not None:
        arguments += ["--engine-batch", _render_profiles(like.profiles)]
    if like is not None and flavour == "tensorrt":
        if like.options.get("version_compatible"):
            arguments.append("--version-compatible")
        if like.options.get("hardware_compatibility", "none") != "none":
            arguments += ["--hardware-compatibility", str(like.options["hardware_compatibility"])]
    return arguments


def _render_profiles(profiles: Sequence[Profile]) -> str:
    """Return profiles as fer-export takes them: "1,8,64" for buckets, "1:8:64" for a range."""
    texts = (str(least) if least == most else f"{least}:{best}:{most}" for least, best, most in profiles)
    return ",".join(texts)


def build_plan(arguments: Sequence[str], engines: Path) -> None:
    """Build the plan of `plan_arguments`, of an absolute path, into a folder, in a process of its own.

    Raises:
        BackendError: what it takes is not installed, or the build failed.
    """
    missing = _missing(BUILD_NEEDS)
    if missing:
        raise BackendError(
            f"a plan has to be built here, and {missing} is not installed; "
            "install it with: pip install 'fer-engine[export]'"
        )
    failure = _run([*arguments, "--engines", str(engines.resolve())], progress.silent)
    if failure is not None:
        raise BackendError(f"fer-export could not build the plan: {failure}")


def _missing(needed: Sequence[str]) -> str:
    return ", ".join(name for name in needed if importlib.util.find_spec(name) is None)


def _run(arguments: Sequence[str], advance: progress.Advance) -> str | None:
    """Run fer-export and pass on each line that it says; return the last one where it failed."""
    said = "it said nothing"
    with (
        tempfile.TemporaryDirectory() as empty,  # so that nothing in the current folder is imported
        subprocess.Popen(
            [sys.executable, *EXPORTER, *arguments],
            cwd=empty,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as child,
    ):
        try:
            for line in child.stderr or ():
                said = line.strip() or said
                advance(step=said)
        except BaseException:
            child.kill()
            raise
    return said.removeprefix("error: ") if child.returncode != 0 else None
