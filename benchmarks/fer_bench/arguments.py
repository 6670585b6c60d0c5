"""What the command line of fer-bench takes, and what it asks for: options, faces, artifact and baseline."""

from __future__ import annotations

import argparse
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fer_bench.passes.loadgen.scenario_options import ScenarioOptions
from fer_bench.passes.options import BenchOptions
from fer_engine._version import __version__
from fer_engine.errors import ConfigError
from fer_engine.exporter import MODEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fer_bench.compare.baseline import Baseline
    from fer_bench.contenders.inputs import Inputs
    from fer_bench.record.record import Record
    from fer_engine.artifact.artifact import Artifact
    from fer_engine.artifact.spec import ModelSpec

ARTIFACT = Path("artifacts") / MODEL
RECORD = Path("reports") / "bench.json"
SPLIT = "PublicTest"
EXIT_REGRESSION = 3
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
DEFAULTS = BenchOptions()
COMMANDS = {
    "run": "Measure speed, cold start, memory and parity of an artifact; write one JSON record.",
    "show": "Show a record again: on the terminal, as Markdown, as an HTML page, as figures.",
    "compare": f"Hold a record against an earlier one; exit code {EXIT_REGRESSION} where an engine is worse.",
}


def parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser of one of `COMMANDS`, or with None that of the form without a command."""
    made = _parser_of(command)
    if command == "show":
        made.add_argument("render", type=Path, metavar="RECORD", help="JSON file of fer-bench")
        _add_faces(made)
        _add_results(made, record=False)
        made.set_defaults(baseline=None, max_slowdown=None, max_accuracy_drop=None)
    elif command == "compare":
        made.add_argument("baseline", type=Path, metavar="OLD", help="the earlier record")
        made.add_argument("render", type=Path, metavar="NEW", help="the record that may have become worse")
        _add_bars(made)
        made.set_defaults(show_faces=False)
    else:
        for add in (_add_contenders, _add_faces, _add_method, _add_loadgen):
            add(made)
        _add_results(made, record=True)
        made.add_argument(
            "--baseline", type=Path, metavar="JSON", help="an earlier record to compare with (default: none)"
        )
        _add_bars(made)
        if command is None:
            made.add_argument("--render", type=Path, metavar="JSON", help="show this record, measure nothing")
        made.add_argument("-q", "--quiet", action="store_true", help="show no progress (default: show it)")
    return made


def _parser_of(command: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"fer-bench {command or ''}".rstrip(),
        description=COMMANDS[command or "run"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if command is None:
        commands = "\n".join(f"  fer-bench {name:8} {text}" for name, text in COMMANDS.items())
        made.epilog = (
            f"Without a command fer-bench does what run does. The commands have their own -h:\n{commands}"
        )
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return made


def _add_contenders(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what runs").add_argument
    add(
        "--artifact",
        type=Path,
        help=f"folder made by fer-export (default: {ARTIFACT}, made from the shipped checkpoint if missing)",
    )
    add(
        "--module",
        metavar="PACKAGE.MODULE:NAME",
        help="code of your own that the artifact's network needs; importing it runs it (default: none)",
    )
    add(
        "--precision",
        help="precisions of the engine, as in fp32,int8,auto (default: all of the artifact, and auto)",
    )
    add(
        "--backend",
        help="backends of the engine, as in onnxruntime,openvino,auto (default: all installed, and auto)",
    )
    add(
        "--device",
        default=DEFAULTS.device,
        help="device of the engine: cpu, cuda or cuda:1; the others run on the CPU (default: %(default)s)",
    )
    add(
        "--threads",
        help="threads of the engine, as in 1,2; a single number holds for PyTorch and the peers too "
        "(default: the engine's own choice)",
    )
    add("--micro-batch", help="micro-batches of the engine, as in 4,8,32 (default: the engine's own choice)")
    add(
        "--tta",
        help="test-time augmentation of the engine, as in none,flip; flip averages each face with its mirror "
        "image (default: none)",
    )
    add(
        "--peers",
        nargs="?",
        const="",
        metavar="NAMES",
        help="other runtimes on the same network, as in openvino,ncnn; without names all that are installed "
        "(default: none)",
    )


def _add_faces(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("faces").add_argument
    add(
        "--data",
        type=Path,
        help="FER2013 in any form, or your own data (default: synthetic faces without labels)",
    )
    add("--labels", help="labels of --data in order, as in calm,tense (default: FER2013's)")
    add(
        "--images",
        type=Path,
        help="folder of the images that the csv of --data names (default: the csv's own)",
    )
    add(
        "--votes",
        type=Path,
        help="FER+'s votes for --data: fer2013new.csv, or an npz; adds accuracy against their majority "
        "(default: those that --data holds)",
    )
    add("--split", help=f"split of --data (default: {SPLIT})")


def _add_method(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how to measure").add_argument
    add("--batch", default="64", help="batch sizes, as in 1,64,1024 (default: %(default)s)")
    for option, what in (
        ("rounds", "rounds, in each of which every contender has one turn"),
        ("seconds", "length of one turn in seconds"),
        ("cold-starts", "new processes that each contender is started in"),
        ("busy", "other processes that each keep a core busy meanwhile"),
        ("seed", "seed of the order of the turns"),
    ):
        default = getattr(DEFAULTS, option.replace("-", "_"))
        add(f"--{option}", type=type(default), default=default, help=f"{what} (default: %(default)s)")
    add(
        "--profile",
        action="store_true",
        help="measure the limits of the machine and the time of each operator too (default: no)",
    )


def _add_loadgen(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("scenarios of MLPerf LoadGen, after the rounds").add_argument
    add("--scenario", help="scenarios, as in single-stream,multi-stream,server,offline (default: none)")
    add("--loadgen-mode", help="modes of LoadGen, as in performance,accuracy (default: performance)")
    add(
        "--target-qps",
        type=float,
        help="queries a second: the arrival rate of server (default: searched), or the rate that offline is "
        "expected to reach (default: estimated)",
    )
    add("--latency-bound", help="latency bound of server, as in 10ms (default: 10ms)")
    add("--scenario-seconds", type=float, help="least length of a run in seconds (default: 10)")
    add(
        "--min-queries",
        type=int,
        help="least number of queries of a run, of offline the samples (default: MLPerf's, by scenario)",
    )
    add("--samples-per-query", type=int, help="samples a query of multi-stream (default: 8)")


def _add_results(parser: argparse.ArgumentParser, *, record: bool) -> None:
    """Add what is written; the `record` too where one is made."""
    add = parser.add_argument_group("results").add_argument
    if record:
        add("-o", "--json", type=Path, default=RECORD, help="file of the record (default: %(default)s)")
    add("--markdown", type=Path, help="write the report as Markdown too (default: no)")
    add("--html", type=Path, help="write the report as one HTML page too (default: no)")
    add("--png", type=Path, metavar="FOLDER", help="write the figures of the page there too (default: no)")
    add(
        "--show-faces",
        action="store_true",
        help="show the faces of --data whose answers change in the page (default: synthetic faces alone)",
    )


def _add_bars(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "how much worse than the earlier record an engine may be",
        f"One is needed for a comparison; exit code {EXIT_REGRESSION} where an engine is worse than that.",
    ).add_argument
    add(
        "--max-slowdown",
        metavar="SHARE",
        help="of the ratios to plain onnxruntime, as in 10%% (default: not compared)",
    )
    add(
        "--max-accuracy-drop",
        type=float,
        metavar="POINTS",
        help="of accuracy, against labels and votes, and of agreement, as in 0.3 (default: not compared)",
    )


def bench_options(options: Namespace) -> BenchOptions:
    """Return how to measure."""
    from fer_bench.contenders.sweep import Sweep

    sweep = Sweep(
        backends=names("--backend", options.backend),
        precisions=names("--precision", options.precision),
        threads=numbers("--threads", options.threads),
        micro_batches=numbers("--micro-batch", options.micro_batch),
        tta=names("--tta", options.tta) or ("none",),
    )
    return BenchOptions(
        batches=numbers("--batch", options.batch),
        sweep=sweep,
        profile=options.profile,
        scenarios=_scenarios(options),
        rounds=options.rounds,
        seconds=options.seconds,
        cold_starts=options.cold_starts,
        device=options.device,
        busy=options.busy,
        seed=options.seed,
    )


def _scenarios(options: Namespace) -> ScenarioOptions | None:
    """Return the scenarios to run with LoadGen, or None where there are none.

    Raises:
        ConfigError: an option is wrong or has no scenario, or LoadGen is not installed.
    """
    if options.scenario is None:
        own = argparse.ArgumentParser()
        _add_loadgen(own)
        known = vars(own.parse_args([]))
        idle = [f"--{name.replace('_', '-')}" for name in known if getattr(options, name) is not None]
        if idle:
            raise ConfigError(f"{', '.join(idle)} given without a scenario; name one with --scenario")
        return None
    given = {
        "target_qps": options.target_qps,
        "latency_bound_ms": None if options.latency_bound is None else _milliseconds(options.latency_bound),
        "seconds": options.scenario_seconds,
        "min_queries": options.min_queries,
        "samples_per_query": options.samples_per_query,
        "modes": names("--loadgen-mode", options.loadgen_mode) or None,
    }
    scenarios = ScenarioOptions(
        names("--scenario", options.scenario),
        logs=str(options.json.with_name(f"{options.json.stem}-loadgen")),
        **{name: value for name, value in given.items() if value is not None},
    )
    if find_spec("mlperf_loadgen") is None:
        raise ConfigError(
            "--scenario needs MLPerf LoadGen, which is not installed; install it with "
            "pip install 'fer-engine[loadgen]'"
        )
    return scenarios


def faces(options: Namespace, spec: ModelSpec) -> Inputs:
    """Return the faces of a dataset, or synthetic ones where none was named, in the form of `spec`."""
    from fer_bench.contenders import inputs

    if options.data is None:
        if options.split is not None:
            raise ConfigError("--split needs --data: synthetic faces have no splits and no labels")
        for name in ("labels", "images", "votes"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name} are those of --data: give both")
        return inputs.synthetic_inputs(spec)
    label_names = None if options.labels is None else [name.strip() for name in options.labels.split(",")]
    return inputs.dataset_inputs(
        options.data, options.split or SPLIT, spec, label_names, options.images, options.votes
    )


def check_render(words: Sequence[str]) -> None:
    """Make sure that no option on a command line with --render goes unused.

    Raises:
        ConfigError: an option has a meaning for a measurement only, even if it has its default's value.
    """
    plain, absent = parser(None), object()
    plain.set_defaults(**dict.fromkeys(vars(plain.parse_args([])), absent))
    given = [name for name, value in vars(plain.parse_args(words)).items() if value is not absent]
    used = vars(parser("show").parse_args(["RECORD"]))
    idle = [f"--{name.replace('_', '-')}" for name in given if name not in used]
    if idle:
        raise ConfigError(
            f"--render shows a record and measures nothing, so {', '.join(idle)} would change nothing; "
            "leave that out, or measure without --render"
        )


def check_page(options: Namespace) -> None:
    """Make sure that the page can show what it is asked to, before minutes are spent on it."""
    if not options.show_faces:
        return
    if options.html is None:
        raise ConfigError("--show-faces needs --html: the page alone shows faces; name its file")
    if options.data is None:
        raise ConfigError(
            "--show-faces needs --data: name the data again; synthetic faces are shown without it"
        )


def shown_faces(options: Namespace, measured: Record) -> NDArray[np.uint8] | None:
    """Return the record's faces for the page: synthetic ones, or with --show-faces those of the data.

    Raises:
        ConfigError: the data does not hold the faces of the record.
    """
    from fer_engine.artifact.spec import ModelSpec

    if options.data is not None and not options.show_faces:
        return None
    # Earlier records name the network alone, and are of one that takes faces as they come.
    found = faces(options, measured.artifact.spec or ModelSpec(measured.artifact.model))
    sha256, expected = found.described().sha256, measured.inputs.sha256
    if sha256 == expected:
        return found.faces
    if options.show_faces:
        raise ConfigError(
            f"--show-faces: {found.description} of {options.data} are not the faces of the record "
            f"({measured.inputs.description}; SHA-256 {sha256[:16]}, expected {expected[:16]}); "
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
    from fer_bench.record.record_file import load_record

    bars = Bars(_share("--max-slowdown", options.max_slowdown), options.max_accuracy_drop)
    return Baseline(str(options.baseline), load_record(options.baseline), bars)


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
