"""fer-export: turn a checkpoint into a verified artifact folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError
from fer_export.tensorrt import arguments

if TYPE_CHECKING:
    from fer_engine.artifact.artifact import Artifact
    from fer_engine.artifact.spec import ModelSpec
    from fer_export.int8.make import Int8Options
    from fer_export.source.load import OnnxFile, UserNetwork
    from fer_train.data import Dataset

EXIT_REFUSED = 3
MODEL = "mini_xception"
# What goes with each way to name a network; the last two need all of theirs.
MODEL_OPTIONS = {
    "model": ("checkpoint", "mean", "scale"),
    "module": ("spec", "checkpoint"),
    "onnx": ("spec", "outputs"),
}
NEEDED = {
    "spec": "a JSON file that says what the network takes and gives",
    "checkpoint": "its state dict, as torch.save(model.state_dict(), PATH) writes it",
    "outputs": "logits, or probabilities where it ends in a softmax",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return exit_codes.run(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-export", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--model", help=f"network to export (default: {MODEL})")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="checkpoint folder, or a bare .pth or .safetensors (default: the shipped one)",
    )
    parser.add_argument(
        "--mean", type=float, help="gray level that a bare state dict was trained to see as 0"
    )
    parser.add_argument("--scale", type=float, help="gray levels that it was trained to see as 1")
    parser.add_argument("--fp16", action="store_true", help="write a float16 graph too")
    parser.add_argument("--int8", action="store_true", help="write int8 graphs too, for GPUs and for CPUs")
    parser.add_argument(
        "--data",
        type=Path,
        help="FER2013 or faces of your own (csv, npz, folder): calibrate on Training, verify on PublicTest",
    )
    parser.add_argument("--labels", help="of --data, where they are not FER2013's, as in calm,tense")
    parser.add_argument(
        "--images", type=Path, help="folder of the images that the csv of --data names (default: its own)"
    )
    parser.add_argument(
        "--max-batch", type=int, default=64, help="largest batch to verify (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="artifact folder (default: artifacts/MODEL)")
    _add_own(parser)
    _add_int8(parser)
    _add_gate(parser)
    arguments.add(parser)
    return parser


def _add_own(parser: argparse.ArgumentParser) -> None:
    own = parser.add_argument_group("a network of your own, instead of --model (see docs/custom-model.md)")
    own.add_argument(
        "--module",
        metavar="PACKAGE.MODULE:NAME",
        help="its class, or a function that makes it, without arguments; --checkpoint is its state dict",
    )
    own.add_argument("--onnx", type=Path, help="a ready ONNX file: normalized float32 [n, channels, h, w] in")
    own.add_argument(
        "--spec", type=Path, help="JSON: name, labels, task, height, width, channels, mean, scale"
    )
    own.add_argument("--outputs", help="what the ONNX file gives: logits or probabilities")


def _add_int8(parser: argparse.ArgumentParser) -> None:
    int8 = parser.add_argument_group("with --int8: how it is made")
    int8.add_argument(
        "--qat",
        type=Path,
        help="checkpoint folder of fer-train --qat, instead of making int8 without training",
    )
    int8.add_argument("--calibration-size", type=int, help="faces (default: 512, or all of fewer)")
    int8.add_argument(
        "--calibration-method", help="of the ranges: max, percentile, entropy or mse (default: mse)"
    )
    int8.add_argument(
        "--float-layers",
        type=float,
        metavar="AGREEMENT",
        help="leave layers in float, as few as need be, for this agreement",
    )
    int8.add_argument("--report", action="store_true", help="measure each step's gain and each layer's cost")


def _add_gate(parser: argparse.ArgumentParser) -> None:
    gate = parser.add_argument_group("gate: a precision that falls short of FP32 is refused and not kept")
    gate.add_argument("--min-accuracy", type=float, help="share of FP32's accuracy (default: 0.99)")
    gate.add_argument(
        "--min-agreement", type=float, help="with the reference, without labels (default: 0.93)"
    )
    gate.add_argument("--min-speed", type=float, help="times FP32's speed on this machine (default: 1.0)")
    gate.add_argument("--force", action="store_true", help="keep what is refused, marked as such")
    gate.add_argument(
        "--strict", action="store_true", help=f"exit with code {EXIT_REFUSED} where something is refused"
    )


def _run(options: argparse.Namespace) -> int:
    plans, precisions = arguments.options(options, _parser()), arguments.precisions(options)
    if plans is None:
        return _export(options)[1]
    from fer_engine.artifact.artifact import Artifact
    from fer_export.tensorrt.plans import build_plans, check_build

    likely = ("fp32", *(name for name in ("fp16", "int8") if getattr(options, name)))
    for name in precisions:
        if options.artifact is None and name in ("fp16", "int8") and name not in likely:
            raise ConfigError(f"--engine-precision {name} needs its graph: add --{name}, or give --artifact")
    check_build(plans, precisions or likely)
    artifact, code = (Artifact.open(options.artifact), 0) if options.artifact else _export(options)
    # What was just asked for and refused by the gate is an error here, not a plan less.
    wanted = precisions or (() if options.artifact else likely)
    for path, plan in build_plans(artifact, plans, wanted, options.engines):
        print(f"plan: {path}: {plan.describe()}")
    return code


def _export(options: argparse.Namespace) -> tuple[Artifact, int]:
    from fer_export.pipeline import ExportOptions, export_model
    from fer_export.source.load import find_spec
    from fer_export.verify import acceptance
    from fer_export.verify.samples import has_labels

    model = _model(options)
    spec = find_spec(model, options.checkpoint) if isinstance(model, str) else model.spec
    dataset = _dataset(options, spec)
    labelled = dataset is not None and spec.task == "classification" and has_labels(dataset, spec)
    if options.min_accuracy is not None and not labelled:
        raise ConfigError(
            "--min-accuracy needs labels, and a classification: give data with the network's own labels with "
            "--data, or use --min-agreement"
        )
    if options.min_agreement is not None and labelled:
        raise ConfigError("--min-agreement is for faces without labels; with --data use --min-accuracy")
    int8 = _int8_options(options)
    bars = {name: getattr(options, f"min_{name}") for name in ("accuracy", "agreement", "speed")}
    export = ExportOptions(
        model=model,
        output=options.output or Path("artifacts") / spec.name,
        checkpoint=options.checkpoint if isinstance(model, str) else None,
        fp16=options.fp16,
        int8=int8,
        dataset=dataset,
        max_batch=options.max_batch,
        mean=options.mean,
        scale=options.scale,
        thresholds=acceptance.Thresholds(**{name: bar for name, bar in bars.items() if bar is not None}),
        force=options.force,
    )
    artifact = export_model(export)
    print(artifact.report.read_text("utf-8"))
    print(f"artifact: {artifact.folder}")
    refusals = artifact.refusals()
    for precision, reason in refusals.items():
        kept = "kept all the same" if options.force else "not kept; --force keeps it, as for another machine"
        print(f"refused: {precision}: {reason} ({kept})", file=sys.stderr)
    return artifact, EXIT_REFUSED if refusals and options.strict else 0


def _dataset(options: argparse.Namespace, spec: ModelSpec) -> Dataset | None:
    from fer_train.data import load_dataset

    if options.data is None:
        for name in ("labels", "images"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name} are those of --data: give both")
        return None
    names = None if options.labels is None else [name.strip() for name in options.labels.split(",")]
    return load_dataset(options.data, names=names, images=options.images, face_shape=spec.face_shape)


def _model(options: argparse.Namespace) -> str | UserNetwork | OnnxFile:
    """Return what to export, once the options are found to name one thing alone."""
    from fer_export.source import spec_file
    from fer_export.source.load import OnnxFile, UserNetwork

    named = [name for name in ("model", "module", "onnx") if getattr(options, name) is not None]
    if len(named) > 1:
        raise ConfigError(f"give one of --model, --module and --onnx, got --{' and --'.join(named)}")
    kind = named[0] if named else "model"
    for name in dict.fromkeys(name for names in MODEL_OPTIONS.values() for name in names):
        given = getattr(options, name) is not None
        if given and name not in MODEL_OPTIONS[kind]:
            others = " or ".join(f"--{other}" for other, names in MODEL_OPTIONS.items() if name in names)
            raise ConfigError(f"--{name} goes with {others}, not with --{kind}: leave it out")
        if not given and kind != "model" and name in MODEL_OPTIONS[kind]:
            raise ConfigError(f"--{kind} needs --{name}: {NEEDED[name]}")
    if kind == "model":
        return options.model or MODEL
    spec = spec_file.read_spec(options.spec)
    if kind == "module":
        return UserNetwork(options.module, options.checkpoint, spec)
    return OnnxFile(options.onnx, spec, options.outputs)


def _int8_options(options: argparse.Namespace) -> Int8Options | None:
    from fer_export.int8.make import Int8Options

    given = {
        "size": options.calibration_size,
        "method": options.calibration_method,
        "qat": options.qat,
        "target": options.float_layers,
        "report": options.report or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if "size" in given and options.data is None:
        raise ConfigError("--calibration-size needs faces to choose from: give FER2013 with --data")
    if "method" in given and "qat" in given:
        raise ConfigError("give --calibration-method or --qat: training chose the ranges")
    if options.int8:
        return Int8Options(**given)
    if given:
        raise ConfigError("say --int8 as well: the options of how it is made were given, but not that one")
    return None


if __name__ == "__main__":
    sys.exit(main())
