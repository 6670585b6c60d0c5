"""The TensorRT plan that fits the graph, the library and the GPU here, found out before it is loaded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from fer_engine import exporter
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import Plan, PlanFolder
from fer_engine.errors import ArtifactError, BackendError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What a plan has to run on: the library's module, its version, and the GPU's compute capability."""

    flavour: str
    version: str
    compute_capability: str


def select_plan(artifact: Artifact, precision: str, target: Target, plans: PlanFolder | None = None) -> Plan:
    """Return the plan of `precision` that fits the target.

    `plans` is the folder to look in, by default that of the artifact.

    Raises:
        ArtifactError: there is none, or it was built from another graph.
        BackendError: those there are were built for other versions or GPUs.
    """
    plans = plans or artifact.plans
    refusals: list[ArtifactError | BackendError] = []
    for plan in plans.find(precision, target.flavour):
        refusal = _refusal(plan, artifact, target)
        if refusal is None:
            return plan
        refusals.append(refusal)
    if refusals:
        raise refusals[0]
    command = exporter.plan_command(artifact.folder, target.flavour, precision, target.compute_capability)
    raise ArtifactError(
        f"{plans.path} holds no {precision!r} plan for {target.flavour}; build it with: {command}"
    )


def select_or_build_plan(
    artifact: Artifact, precision: str, target: Target, cache: Path
) -> tuple[Plan, bytes]:
    """Return a plan that fits and its bytes: from the artifact, or from below `cache`.

    Where neither has one, fer-export builds it into the cache from the artifact's own graph, which takes
    seconds to minutes; a line of the log says why. Whoever can write into the cache decides what runs.

    Raises:
        ArtifactError: the artifact has no graph of that precision.
        BackendError: the plan cannot be built; the text has the builder's own.
    """

    def fitting(plans: PlanFolder) -> tuple[Plan, bytes]:
        plan = select_plan(artifact, precision, target, plans)
        return plan, plans.read(plan)  # a plan that is damaged does not fit

    try:
        return fitting(artifact.plans)
    except (ArtifactError, BackendError) as reason:
        why = str(reason)
    # One folder a graph and version: plans of others have the same name.
    plans = PlanFolder(cache / artifact.file(precision).sha256[:16] / target.version)
    try:
        return fitting(plans)
    except (ArtifactError, BackendError):
        LOG.warning("building a plan into %s, since %s", plans.path, why)
    known = _known(artifact.plans, precision, target.flavour)
    arguments = exporter.plan_arguments(
        artifact.folder.resolve(), target.flavour, precision, target.compute_capability, known
    )
    exporter.build_plan(arguments, plans.path)
    return fitting(plans)


def _known(plans: PlanFolder, precision: str, flavour: str) -> Plan | None:
    """Return a plan for another GPU or version, whose profiles the new one shall have too."""
    try:
        return next(iter(plans.find(precision, flavour)), None)
    except ArtifactError:  # a damaged sidecar tells nothing about how to build
        return None


def _refusal(plan: Plan, artifact: Artifact, target: Target) -> ArtifactError | BackendError | None:
    """Return what differs, as the error to raise; None where the plan fits."""
    version, compute_capability = target.version, target.compute_capability
    here = f"the {plan.precision!r} plan of {artifact.folder}"
    command = exporter.plan_command(artifact.folder, plan.flavour, plan.precision, compute_capability, plan)
    rebuild = f"build it again with: {command}"
    graph = artifact.files.get(plan.precision)
    if graph is None or graph.sha256 != plan.source_sha256:
        held = "no such graph" if graph is None else f"SHA-256 {graph.sha256[:12]}..."
        return ArtifactError(
            f"{here} was built from {plan.source} with SHA-256 {plan.source_sha256[:12]}..., "
            f"the artifact holds {held}; {rebuild}"
        )
    if not _version_fits(plan, version):
        return BackendError(
            f"{here} was built by {plan.flavour} {plan.version}, {version} is installed; {rebuild}"
        )
    if not _capability_fits(plan, compute_capability):
        return BackendError(
            f"{here} was built for compute capability {', '.join(plan.compute_capabilities)}, "
            f"this GPU has {compute_capability}; {rebuild}"
        )
    return None


def _version_fits(plan: Plan, version: str) -> bool:
    """Return whether the library can load the plan.

    Exactly the version that built it, unless it was built version-compatible: then also later ones of
    the same major version, and TensorRT 11 for a plan of TensorRT 10.
    """
    if plan.version == version:
        return True
    if not plan.options.get("version_compatible"):
        return False
    built, here = _release(plan.version), _release(version)
    return built <= here and (built[0] == here[0] or (built[0], here[0]) == (10, 11))


def _capability_fits(plan: Plan, compute_capability: str) -> bool:
    if compute_capability in plan.compute_capabilities:
        return True
    level = plan.options.get("hardware_compatibility")
    return level == "ampere_plus" and _release(compute_capability) >= (8, 0)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
