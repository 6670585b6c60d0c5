"""fer-export: turn a checkpoint into a verified artifact folder, and its graphs into TensorRT plans."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError
from fer_engine.exporter import MODEL
from fer_engine.system import progress
from fer_export.tensorrt import arguments

if TYPE_CHECKING:
    from fer_engine.artifact.artifact import Artifact
    from fer_engine.artifact.spec import ModelSpec
    from fer_export.int8.make import Int8Options
    from fer_export.source.load import OnnxFile, UserNetwork
    from fer_export.tensorrt.options import BuildOptions
    from fer_export.verify.acceptance import Thresholds
    from fer_train.data import Dataset

COMMANDS = {
    "onnx": "Export a network to ONNX: a verified artifact folder.",
    "tensorrt": "Build TensorRT plans from the graphs of an artifact.",
}
EXIT_REFUSED = 3
# What goes with each way to name a network; the last two need those of theirs that `NEEDED` has.
MODEL_OPTIONS = {
    "model": ("checkpoint", "mean", "scale"),
    "module": ("spec", "checkpoint"),
    "onnx": ("spec", "outputs", "onnx_output"),
}
NEEDED = {
    "spec": "a JSON file that says what the network takes and gives",
    "checkpoint": "its state dict, as torch.save(model.state_dict(), PATH) writes it",
    "outputs": "logits, or probabilities where it ends in a softmax",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parse(sys.argv[1:] if argv is None else argv)
    body = {"onnx": _onnx, "tensorrt": _tensorrt}.get(options.command, _both)
    with progress.hidden(options.quiet):
        return exit_codes.run_command(lambda: body(options))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the options of one subcommand, or with none in front those of both."""
    command = argv[0] if argv and argv[0] in COMMANDS else ""
    parser = _parser(command)
    options, unknown = parser.parse_known_args(argv[1:] if command else argv)
    for name in (argument.partition("=")[0] for argument in unknown):
        for other in COMMANDS:
            if name.startswith("-") and name in re.findall(r"-[\w-]+", _parser(other).format_usage()):
                parser.error(f"{name} is an option of 'fer-export {other}'")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if command == "tensorrt" and options.artifact is None:
        parser.error("--artifact is missing: name the folder whose graphs to build plans from")
    options.command = command
    return options


def _parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of a subcommand, or for "" that of both at once."""
    parser = argparse.ArgumentParser(
        prog=f"fer-export {command}".strip(),
        description=COMMANDS.get(command, __doc__),
        epilog=None if command else "'fer-export onnx' and 'fer-export tensorrt' do one of the two alone.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress (default: show it)")
    if command != "tensorrt":
        _add_export(parser)
        _add_own(parser)
        _add_int8(parser)
        _add_gate(parser)
    if command != "onnx":
        arguments.add_plan_options(parser)
    return parser


def _add_export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-m", "--model", help=f"network to export (default: that of --checkpoint's folder, else {MODEL})")
    add("-o", "--output", type=Path, help="artifact folder (default: artifacts/ and the network's name)")
    add(
        "--checkpoint",
        type=Path,
        help="checkpoint folder of fer-train, or a bare .pth or .safetensors file, which needs --mean and "
        "--scale too (default: the one that ships with the package)",
    )
    add("--mean", type=float, help="of a bare file: gray level that training mapped to 0 (default: none)")
    add("--scale", type=float, help="of a bare file: gray levels that it mapped to 1 (default: none)")
    add("--fp16", action="store_true", help="write a float16 graph too (default: no)")
    add("--int8", action="store_true", help="write int8 graphs for GPUs and for CPUs too (default: no)")
    add(
        "--data",
        type=Path,
        help="labelled faces, as a csv, npz or folder; for a face detector an npz of pictures: INT8 is "
        "calibrated on the split Training, all graphs are verified on PublicTest (default: none, synthetic "
        "faces)",
    )
    add("--labels", help="labels of --data, in order, as in calm,tense (default: those of FER2013)")
    add("--images", type=Path, help="folder of the images that a csv of --data names (default: its own)")
    add("--max-batch", type=int, default=64, help="largest batch to verify (default: %(default)s)")


def _add_own(parser: argparse.ArgumentParser) -> None:
    own = parser.add_argument_group(
        "a network of your own, instead of --model", "None of these has a default; see docs/custom-model.md."
    )
    add = own.add_argument
    add(
        "--module",
        metavar="PACKAGE.MODULE:NAME",
        help="its class, or a function that makes it, without arguments; --checkpoint is its state dict",
    )
    add(
        "--onnx",
        type=Path,
        help="an ONNX file that takes normalized faces, [n, channels, h, w] or [n, h, w, channels]",
    )
    add("--spec", type=Path, help="JSON file: name, labels, task, height, width, channels, mean, scale")
    add("--outputs", help="what the ONNX file gives: logits or probabilities")
    add("--onnx-output", metavar="NAME", help="the ONNX file's output that counts (default: its only one)")


def _add_int8(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("with --int8").add_argument
    add(
        "--qat",
        type=Path,
        help="checkpoint folder of 'fer-train --qat' to make INT8 from (default: none, no training)",
    )
    add("--calibration-size", type=int, help="calibration faces (default: 512, or all of fewer)")
    add("--calibration-method", help="max, percentile, entropy or mse (default: mse)")
    add(
        "--float-layers",
        type=float,
        metavar="AGREEMENT",
        help="leave as few layers in float as this share of equal answers needs, as in 0.99 (default: none)",
    )
    add(
        "--report",
        action="store_true",
        help="measure what each step gains and each layer costs (default: no)",
    )


def _add_gate(parser: argparse.ArgumentParser) -> None:
    gate = parser.add_argument_group("gate: a precision that falls short of FP32 is refused and not kept")
    add = gate.add_argument
    add("--min-accuracy", type=float, help="least share of FP32's accuracy (default: 0.99)")
    add("--min-agreement", type=float, help="without labels: least share of equal answers (default: 0.93)")
    add("--min-speed", type=float, help="least speed on this machine, as a multiple of FP32's (default: 1.0)")
    add("--force", action="store_true", help="keep a refused precision, marked as refused (default: no)")
    add("--strict", action="store_true", help=f"exit with {EXIT_REFUSED} if one is refused (default: with 0)")


def _onnx(options: argparse.Namespace) -> int:
    return _exit_code(options, _export(options))


def _tensorrt(options: argparse.Namespace) -> int:
    from fer_engine.artifact.artifact import Artifact

    plans, precisions = arguments.build_options(options), arguments.precisions(options)
    _build(Artifact.open(options.artifact), plans, precisions, options.engines)
    return 0


def _both(options: argparse.Namespace) -> int:
    """Do what no subcommand in front asks for: an export, plans, or one after the other."""
    arguments.check(options, _parser(""))
    if options.flavour is None:
        return _onnx(options)
    if options.artifact is not None:
        return _tensorrt(options)
    from fer_export.tensorrt.plans import check_build

    plans, precisions = arguments.build_options(options), arguments.precisions(options)
    exported = ("fp32", *(name for name in ("fp16", "int8") if getattr(options, name)))
    for name in precisions:
        if name in ("fp16", "int8") and name not in exported:
            raise ConfigError(f"--engine-precision {name} needs its graph: add --{name}, or give --artifact")
    check_build(plans, precisions or exported)
    artifact = _export(options)
    # A precision that was asked for and that the gate refused is an error, not one plan less.
    _build(artifact, plans, precisions or exported, options.engines)
    return _exit_code(options, artifact)


def _build(
    artifact: Artifact, options: BuildOptions, precisions: tuple[str, ...], engines: Path | None
) -> None:
    from fer_export.tensorrt.plans import build_plans

    for path, plan in build_plans(artifact, options, precisions, engines):
        print(f"plan: {path}: {plan.describe()}")


def _export(options: argparse.Namespace) -> Artifact:
    from fer_export.pipeline import ExportOptions, export_model
    from fer_export.source.load import find_spec

    model = _model(options)
    spec = find_spec(model, options.checkpoint) if isinstance(model, str) else model.spec
    dataset = _dataset(options, spec)
    thresholds = _thresholds(options, spec, dataset)
    artifact = export_model(
        ExportOptions(
            model=model,
            output=options.output or Path("artifacts") / spec.name,
            checkpoint=options.checkpoint if isinstance(model, str) else None,
            fp16=options.fp16,
            int8=_int8_options(options),
            dataset=dataset,
            max_batch=options.max_batch,
            mean=options.mean,
            scale=options.scale,
            thresholds=thresholds,
            force=options.force,
        )
    )
    print(artifact.report.read_text("utf-8"))
    print(f"artifact: {artifact.folder}")
    kept = "kept all the same" if options.force else "not kept; --force keeps it, as for another machine"
    for precision, reason in artifact.gate.refusals().items():
        print(f"refused: {precision}: {reason} ({kept})", file=sys.stderr)
    return artifact


def _exit_code(options: argparse.Namespace, artifact: Artifact) -> int:
    return EXIT_REFUSED if options.strict and artifact.gate.refusals() else 0


def _thresholds(options: argparse.Namespace, spec: ModelSpec, dataset: Dataset | None) -> Thresholds:
    from fer_export.verify.acceptance import Thresholds
    from fer_export.verify.samples import label_places

    classified = None if spec.task != "classification" else dataset
    labelled = classified is not None and label_places(classified, spec) is not None
    if options.min_accuracy is not None and not labelled:
        raise ConfigError(
            "--min-accuracy needs labels, and a classification: give data with the network's own labels with "
            "--data, or use --min-agreement"
        )
    if options.min_agreement is not None and labelled:
        raise ConfigError("--min-agreement is for faces without labels; with --data use --min-accuracy")
    given = {name: getattr(options, f"min_{name}") for name in ("accuracy", "agreement", "speed")}
    return Thresholds(**{name: value for name, value in given.items() if value is not None})


def _dataset(options: argparse.Namespace, spec: ModelSpec) -> Dataset | None:
    from fer_train.data import load_dataset
    from fer_train.data.pictures import read_pictures

    if options.data is None:
        for name in ("labels", "images"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name} are those of --data: give both")
        return None
    if spec.task == "detection":
        for name in ("labels", "images"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name} is for labelled faces, {spec.name} takes pictures: leave it out")
        return read_pictures(options.data, spec.face_shape)
    names = None if options.labels is None else [name.strip() for name in options.labels.split(",")]
    return load_dataset(options.data, names=names, images=options.images, face_shape=spec.face_shape)


def _model(options: argparse.Namespace) -> str | UserNetwork | OnnxFile:
    """Return what to export, once the options are found to name one thing alone."""
    from fer_export.source import spec_file
    from fer_export.source.load import OnnxFile, UserNetwork, trained_name

    named = [name for name in ("model", "module", "onnx") if getattr(options, name) is not None]
    if len(named) > 1:
        raise ConfigError(f"give one of --model, --module and --onnx, got --{' and --'.join(named)}")
    kind = named[0] if named else "model"
    for name in dict.fromkeys(name for names in MODEL_OPTIONS.values() for name in names):
        given = getattr(options, name) is not None
        if given and name not in MODEL_OPTIONS[kind]:
            others = " or ".join(f"--{other}" for other, names in MODEL_OPTIONS.items() if name in names)
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} goes with {others}, not with --{kind}: leave it out")
        if not given and kind != "model" and name in MODEL_OPTIONS[kind] and name in NEEDED:
            raise ConfigError(f"--{kind} needs --{name}: {NEEDED[name]}")
    if kind == "model":
        return options.model or trained_name(options.checkpoint) or MODEL
    spec = spec_file.read_spec(options.spec)
    if kind == "module":
        return UserNetwork(options.module, options.checkpoint, spec)
    return OnnxFile(options.onnx, spec, options.outputs, options.onnx_output)


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
        raise ConfigError(
            "give --calibration-method or --qat, not both: with --qat training chose the ranges"
        )
    if options.int8:
        return Int8Options(**given)
    if given:
        raise ConfigError("options of INT8 were given without it: say --int8 as well, or leave them out")
    return None


if __name__ == "__main__":
    sys.exit(main())
