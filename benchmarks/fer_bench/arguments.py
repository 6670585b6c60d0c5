"""What a command line asks for: options, faces and artifact."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_engine.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fer_bench.compare.baseline import Baseline
    from fer_bench.contenders.inputs import Inputs
    from fer_bench.passes.loadgen.scenario_options import ScenarioOptions
    from fer_bench.passes.options import BenchOptions
    from fer_engine.artifact.artifact import Artifact
    from fer_engine.artifact.spec import ModelSpec

MODEL = "mini_xception"
ARTIFACT = Path("artifacts") / MODEL
SPLIT = "PublicTest"
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
# What has a meaning where nothing is measured.
RENDERING = {
    "render",
    "data",
    "labels",
    "split",
    "faces",
    "markdown",
    "html",
    "png",
    "baseline",
    "max_slowdown",
    "max_accuracy_drop",
}


def bench_options(options: Namespace) -> BenchOptions:
    """Return how to measure; what was not given keeps its default."""
    from fer_bench.contenders.sweep import Sweep
    from fer_bench.passes.options import BenchOptions

    sweep = Sweep(
        backends=names("--backend", options.backend),
        precisions=names("--precision", options.precision),
        threads=numbers("--threads", options.threads),
        micro_batches=numbers("--micro-batch", options.micro_batch),
        tta=names("--tta", options.tta) or ("none",),
    )
    fields = ("rounds", "seconds", "cold_starts", "device", "busy", "seed")
    given = {name: getattr(options, name) for name in fields if getattr(options, name) is not None}
    return BenchOptions(
        batches=numbers("--batch", options.batch),
        sweep=sweep,
        profile=options.profile,
        scenarios=_scenarios(options),
        **given,
    )


def _scenarios(options: Namespace) -> ScenarioOptions | None:
    """Return what is asked of LoadGen, or None where no scenario is.

    Raises:
        ConfigError: an option is wrong or has no scenario, or LoadGen is not installed.
    """
    from fer_bench.passes.loadgen.scenario_options import ScenarioOptions

    given = {
        "target_qps": options.target_qps,
        "latency_bound_ms": None if options.latency_bound is None else _milliseconds(options.latency_bound),
        "seconds": options.scenario_seconds,
        "min_queries": options.min_queries,
        "samples_per_query": options.samples_per_query,
        "modes": names("--loadgen-mode", options.loadgen_mode) or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if options.scenario is None:
        if given:
            raise ConfigError(
                f"{', '.join(given).replace('_', ' ')} given without a scenario; name one with --scenario"
            )
        return None
    logs = options.json.with_name(f"{options.json.stem}-loadgen")
    asked = ScenarioOptions(names("--scenario", options.scenario), str(logs), **given)
    if find_spec("mlperf_loadgen") is None:
        raise ConfigError(
            "--scenario needs MLPerf LoadGen, which is not installed; install it with "
            "pip install mlcommons-loadgen"
        )
    return asked


def faces(options: Namespace, spec: ModelSpec) -> Inputs:
    """Return the faces of a dataset, or synthetic ones where none was named, in the form of `spec`."""
    from fer_bench.contenders import inputs

    if options.data is None:
        if options.split is not None:
            raise ConfigError("--split needs --data: synthetic faces have no splits and no labels")
        for name in ("labels", "images"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name} are those of --data: give both")
        return inputs.synthetic(spec)
    label_names = None if options.labels is None else [name.strip() for name in options.labels.split(",")]
    return inputs.of_dataset(options.data, options.split or SPLIT, spec, label_names, options.images)


def check_render(given: Iterable[str]) -> None:
    """Make sure that none of the options that were `given` beside --render would go unheard."""
    idle = [f"--{name.replace('_', '-')}" for name in given if name not in RENDERING]
    if idle:
        raise ConfigError(
            f"--render shows a record and measures nothing, so {', '.join(idle)} would change nothing; "
            "leave that out, or measure without --render"
        )


def check_page(options: Namespace) -> None:
    """Make sure that the page can show what it is asked to, before minutes are spent on it."""
    if not options.faces:
        return
    if options.html is None:
        raise ConfigError("--faces needs --html: the page alone shows faces; name its file")
    if options.data is None:
        raise ConfigError("--faces needs --data: name the data again; synthetic faces are shown without it")


def shown_faces(options: Namespace, measured: Mapping[str, Any]) -> NDArray[np.uint8] | None:
    """Return the record's faces for the page: synthetic ones, or with --faces those of the data.

    Raises:
        ArtifactError: the record's account of the network is damaged.
        ConfigError: the data does not hold the faces of the record.
    """
    from fer_engine.artifact.spec import ModelSpec

    if options.data is not None and not options.faces:
        return None
    artifact = measured["artifact"]
    # Earlier records name the network alone, and are of one that takes faces as they come.
    spec = ModelSpec.from_json(artifact["spec"]) if "spec" in artifact else ModelSpec(artifact["model"])
    found = faces(options, spec)
    sha256, expected = found.to_json()["sha256"], measured["inputs"]["sha256"]
    if sha256 == expected:
        return found.faces
    if options.faces:
        raise ConfigError(
            f"--faces: {found.description} of {options.data} are not the faces of the record "
            f"({measured['inputs']['description']}; SHA-256 {sha256[:16]}, expected {str(expected)[:16]}); "
            "give the data and the split that it was measured on"
        )
    return None


def spec(options: Namespace) -> ModelSpec:
    """Return what the artifact's network takes and gives, before a default artifact is made."""
    from fer_engine.artifact.artifact import Artifact
    from fer_engine.artifact.spec import ModelSpec

    if _to_be_made(options):
        return ModelSpec(MODEL)  # the form of a spec's defaults is that of the shipped network
    return Artifact.open(options.artifact or ARTIFACT).spec


def artifact(options: Namespace) -> Artifact:
    """Return the artifact; the default one is made where there is none."""
    from fer_engine.artifact.artifact import Artifact

    if _to_be_made(options):
        _make_artifact(ARTIFACT)
    return Artifact.open(options.artifact or ARTIFACT)


def baseline(options: Namespace) -> Baseline | None:
    """Return the record to compare with, or None where there is none."""
    if options.baseline is None:
        for option in ("max_slowdown", "max_accuracy_drop"):
            if getattr(options, option) is not None:
                raise ConfigError(f"--{option.replace('_', '-')} needs a record to compare with: --baseline")
        return None
    from fer_bench.compare.baseline import Bars, Baseline
    from fer_bench.record import record

    bars = Bars(_share("--max-slowdown", options.max_slowdown), options.max_accuracy_drop)
    return Baseline(str(options.baseline), record.load(options.baseline), bars)


def names(option: str, text: str | None) -> tuple[str, ...]:
    """Return the parts of a comma list, each once; none where the option was not given."""
    if text is None:
        return ()
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in parts:
        raise ConfigError(f"{option} must be a list without gaps, as in a,b, got {text!r}")
    return parts


def numbers(option: str, text: str | None) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in names(option, text)))
    except ValueError:
        raise ConfigError(f"{option} must be whole numbers, as in 1,8,64, got {text!r}") from None


def _share(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    number, percent, rest = text.partition("%")
    try:
        if percent and not rest:
            return float(number) / 100
    except ValueError:
        pass
    raise ConfigError(f"{option} must be a percentage, as in 10%, got {text!r}")


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s)", text.strip())
    if found is None:
        raise ConfigError(f"--latency-bound must be a number with us, ms or s, as in 10ms, got {text!r}")
    return float(found[1]) * MILLISECONDS[found[2]]


def _to_be_made(options: Namespace) -> bool:
    from fer_engine.artifact.artifact import Artifact

    return options.artifact is None and not Artifact.is_at(ARTIFACT)


def _make_artifact(folder: Path) -> None:
    from fer_export.int8.make import Int8Options
    from fer_export.pipeline import ExportOptions, export_model

    print(
        f"no artifact at {folder}: exporting the shipped {MODEL} in all precisions",
        file=sys.stderr,
        flush=True,
    )
    export_model(ExportOptions(model=MODEL, output=folder, fp16=True, int8=Int8Options(), force=True))
