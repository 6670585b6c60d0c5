"""Whether a TensorRT plan fits the graph, the library and the GPU here, found out before it is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import FLAVOURS, Plan, PlanFolder, Profile
from fer_engine.errors import ArtifactError, BackendError


def select(
    artifact: Artifact,
    precision: str,
    *,
    flavour: str,
    version: str,
    compute_capability: str,
    plans: PlanFolder | None = None,
) -> Plan:
    """Return the plan of `precision` that this library, and a GPU of this capability, can run.

    `plans` is the folder to look in, by default that of the artifact.

    Raises:
        ArtifactError: there is none, or it was built from another graph.
        BackendError: those there are were built for other versions or GPUs.
    """
    plans = plans or artifact.plans
    refusals: list[ArtifactError | BackendError] = []
    for plan in plans.find(precision, flavour):
        refusal = _refusal(plan, artifact, version, compute_capability)
        if refusal is None:
            return plan
        refusals.append(refusal)
    if refusals:
        raise refusals[0]
    raise ArtifactError(
        f"{plans.path} holds no {precision!r} plan for {flavour}; "
        f"build it with: {_command(artifact, flavour, precision, compute_capability)}"
    )


def _refusal(
    plan: Plan, artifact: Artifact, version: str, compute_capability: str
) -> ArtifactError | BackendError | None:
    """Return what differs, as the error to raise; None where the plan fits."""
    here = f"the {plan.precision!r} plan of {artifact.folder}"
    command = _command(artifact, plan.flavour, plan.precision, compute_capability, plan)
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


def rebuild_arguments(
    artifact: Artifact, flavour: str, precision: str, compute_capability: str, plan: Plan | None = None
) -> list[str]:
    """Return the arguments of fer-export that build a plan for this GPU from the artifact's own graph.

    `plan` is one whose profiles and compatibility shall be kept.
    """
    arguments = ["--artifact", str(artifact.folder), FLAVOURS[flavour], "--engine-precision", precision]
    if flavour == "tensorrt_rtx":  # the other flavour builds for the GPU that it finds
        arguments += ["--target", compute_capability]
    if plan is not None:
        arguments += ["--engine-batch", render_profiles(plan.profiles)]
    if plan is not None and flavour == "tensorrt":
        if plan.options.get("version_compatible"):
            arguments.append("--version-compatible")
        if plan.options.get("hardware_compatibility", "none") != "none":
            arguments += ["--hardware-compatibility", str(plan.options["hardware_compatibility"])]
    return arguments


def render_profiles(profiles: Sequence[Profile]) -> str:
    """Return profiles as fer-export takes them: "1,8,64" for buckets, "1:8:64" for a range."""
    texts = (str(least) if least == most else f"{least}:{best}:{most}" for least, best, most in profiles)
    return ",".join(texts)


def _command(
    artifact: Artifact, flavour: str, precision: str, compute_capability: str, plan: Plan | None = None
) -> str:
    arguments = rebuild_arguments(artifact, flavour, precision, compute_capability, plan)
    return f"fer-export {shlex.join(arguments)}"


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
