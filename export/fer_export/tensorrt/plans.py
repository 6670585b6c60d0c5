"""The plans of an artifact: built from its own graphs, read back, written beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import onnx

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import Plan, PlanFolder
from fer_engine.errors import ConfigError, ExportError
from fer_engine.system import progress
from fer_export.tensorrt import flavour, reader
from fer_export.tensorrt.build_process import build_in_subprocess
from fer_export.tensorrt.options import BuildOptions
from fer_export.verify.executed import declared_precisions

# Graphs that a plan can be built from; "int8-cpu" has the uint8 activations of CPUs, which TensorRT refuses.
PRECISIONS = ("fp32", "fp16", "int8")
STEPS = 1000  # of a progress bar
NAMED = 3  # convolutions that a message names


def check_build(options: BuildOptions, precisions: Iterable[str]) -> None:
    """Check what can be checked before anything is exported or built.

    Raises:
        ConfigError: a precision has no plan, or does not go with the targets.
        BackendError: the library is not installed.
    """
    flavour.check_installed(options.flavour)
    for precision in precisions:
        if precision not in PRECISIONS:
            raise ConfigError(f"no plan can be {precision!r}; known: {', '.join(PRECISIONS)}")
        options.check(precision)


def build_plans(
    artifact: Artifact, options: BuildOptions, precisions: tuple[str, ...] = (), engines: Path | None = None
) -> Iterator[tuple[Path, Plan]]:
    """Build the plans of an artifact in `precisions`, by default in all that its graphs have.

    They go into `engines`, by default the artifact's own folder; each is yielded once it is written.

    Raises:
        ArtifactError: a graph is missing or damaged.
        ExportError: the library refuses a graph, or the plan computes in another precision.
        ConfigError: an option does not go with the precision or the installed library.
        BackendError: the library is not available, or the build failed.
    """
    wanted = precisions or tuple(name for name in PRECISIONS if name in artifact.files)
    check_build(options, wanted)
    graphs = {precision: artifact.read_graph(precision) for precision in wanted}
    plans = PlanFolder(engines) if engines else artifact.plans
    for precision, graph in graphs.items():
        content, plan = _build(artifact, precision, graph, options)
        yield plans.write(plan, content), plan


def _build(artifact: Artifact, precision: str, graph: bytes, options: BuildOptions) -> tuple[bytes, Plan]:
    title = f"build {options.flavour} plan in {precision}"
    reached = 0

    with progress.bar(title, STEPS) as advance:

        def report(share: float) -> None:
            nonlocal reached
            advance(int(share * STEPS) - reached)
            reached = int(share * STEPS)

        content, reply = build_in_subprocess(graph, artifact.spec.face_shape, options, report)
    expected = _declared_convolutions(graph)
    found = reader.of_convolutions(reply.precisions, expected)
    check_precisions(expected, found, precision)
    source = artifact.files[precision]
    return content, Plan(
        flavour=options.flavour,
        version=reply.version,
        cuda=reply.cuda,
        gpu=reply.gpu,
        compute_capabilities=reply.compute_capabilities,
        precision=precision,
        profiles=options.profiles,
        source=source.path,
        source_sha256=source.sha256,
        calibration_sha256=_calibration_sha256(artifact, precision),
        layers=reader.shares(found),
        options=options.to_json(),
        build_seconds=round(reply.seconds, 3),
        plan_sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


def check_precisions(declared: Mapping[str, str], found: Mapping[str, str], precision: str) -> None:
    """Refuse a plan that computes convolutions in another precision than its graph declares.

    Raises:
        ExportError: it does.
    """
    deviating = [
        f"{name} in {found[name]}"
        for name, wanted in declared.items()
        if found[name] not in (wanted, reader.UNKNOWN)
    ]
    if deviating:
        named = ", ".join(deviating[:NAMED]) + (", ..." if len(deviating) > NAMED else "")
        raise ExportError(
            f"the {precision} plan computes {len(deviating)} of {len(declared)} convolutions in another "
            f"precision than its graph declares ({named}), and is not kept; leave out targets that lack "
            "the precision, or build another one"
        )


def _declared_convolutions(graph: bytes) -> dict[str, str]:
    model = onnx.load_from_string(graph)
    names = {node.name for node in model.graph.node if node.op_type == "Conv"}
    return {name: kind for name, kind in declared_precisions(model).items() if name in names}


def _calibration_sha256(artifact: Artifact, precision: str) -> str | None:
    """Return the hash of the faces behind the graph's ranges; training for INT8 brings its own ranges."""
    made = artifact.manifest.made
    if precision != "int8" or made.int8 is None or made.calibration is None or made.int8["method"] == "qat":
        return None
    return str(made.calibration["samples_sha256"])
