"""A TensorRT plan for the GPU at hand, built on the spot where the artifact has none that fits."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import Plan, PlanFolder
from fer_engine.backends.tensorrt.plan_match import rebuild_arguments, select
from fer_engine.errors import ArtifactError, BackendError

LOG = logging.getLogger(__name__)
BUILDER = ("fer_export", "onnx")  # what fer-export needs to build from graphs that are there


def select_or_rebuild(
    artifact: Artifact,
    precision: str,
    *,
    flavour: str,
    version: str,
    compute_capability: str,
    cache: Path,
) -> tuple[Plan, bytes]:
    """Return a plan that fits and its bytes: from the artifact, or from below `cache`.

    Where neither has one, fer-export builds it into the cache from the artifact's own graph, which takes
    seconds to minutes; a line of the log says why. Whoever can write into the cache decides what runs.

    Raises:
        ArtifactError: the artifact has no graph of that precision.
        BackendError: the plan cannot be built; the text has the builder's own.
    """

    def fitting(plans: PlanFolder) -> tuple[Plan, bytes]:
        plan = select(
            artifact,
            precision,
            flavour=flavour,
            version=version,
            compute_capability=compute_capability,
            plans=plans,
        )
        return plan, plans.read(plan)  # a plan that is damaged does not fit

    try:
        return fitting(artifact.plans)
    except (ArtifactError, BackendError) as reason:
        why = str(reason)
    # One folder a graph and version: plans of others have the same name.
    plans = PlanFolder(cache / artifact.file(precision).sha256[:16] / version)
    try:
        return fitting(plans)
    except (ArtifactError, BackendError):
        LOG.warning("building a plan into %s, since %s", plans.path, why)
    known = _known(artifact.plans, precision, flavour)
    whole = dataclasses.replace(artifact, folder=artifact.folder.resolve())
    _export(rebuild_arguments(whole, flavour, precision, compute_capability, known), plans.path)
    return fitting(plans)


def _known(plans: PlanFolder, precision: str, flavour: str) -> Plan | None:
    """Return a plan for another GPU or version, whose profiles the new one shall have too."""
    try:
        return next(iter(plans.find(precision, flavour)), None)
    except ArtifactError:  # a damaged sidecar tells nothing about how to build
        return None


def _export(arguments: list[str], engines: Path) -> None:
    """Run fer-export, which writes a plan into the folder `engines`."""
    for name in BUILDER:
        if importlib.util.find_spec(name) is None:
            raise BackendError(
                f"a plan has to be built here, and {name} is not installed; "
                "install it with: pip install 'fer-engine[export]'"
            )
    command = [sys.executable, "-m", "fer_export.cli", *arguments, "--engines", str(engines.resolve())]
    with tempfile.TemporaryDirectory() as empty:  # so that nothing in the current folder is imported
        done = subprocess.run(
            command, cwd=empty, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BackendError(f"fer-export could not build the plan: {said[-1].removeprefix('error: ')}")
