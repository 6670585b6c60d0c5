"""fer-export: turn a checkpoint into a verified artifact folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine import __version__, command
from fer_engine.errors import ConfigError
from fer_export.tensorrt import arguments

if TYPE_CHECKING:
    from fer_export.int8 import Int8Options

EXIT_REFUSED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return command.run(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-export", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--model", default="mini_xception", help="network to export (default: %(default)s)")
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
        "--data", type=Path, help="FER2013, to calibrate on Training and verify on PublicTest"
    )
    parser.add_argument(
        "--max-batch", type=int, default=64, help="largest batch to verify (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="artifact folder (default: artifacts/MODEL)")
    int8 = parser.add_argument_group("with --int8: how it is made")
    int8.add_argument(
        "--qat",
        type=Path,
        help="checkpoint folder of fer-train --qat, instead of making int8 without training",
    )
    int8.add_argument("--calibration-size", type=int, help="faces (default: 512)")
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
    gate = parser.add_argument_group("gate: a precision that falls short of FP32 is refused and not kept")
    gate.add_argument("--min-accuracy", type=float, help="share of FP32's accuracy (default: 0.99)")
    gate.add_argument("--min-agreement", type=float, help="with PyTorch, without labels (default: 0.93)")
    gate.add_argument("--min-speed", type=float, help="times FP32's speed on this machine (default: 1.0)")
    gate.add_argument("--force", action="store_true", help="keep what is refused, marked as such")
    gate.add_argument(
        "--strict", action="store_true", help=f"exit with code {EXIT_REFUSED} where something is refused"
    )
    arguments.add(parser)
    return parser


def _run(options: argparse.Namespace) -> int:
    plans, precisions = arguments.options(options, _parser()), arguments.precisions(options)
    if plans is None:
        return _export(options)[1]
    from fer_export.tensorrt.engines import build_engines, check

    likely = ("fp32", *(name for name in ("fp16", "int8") if getattr(options, name)))
    check(plans, precisions or likely)
    folder, code = (options.artifact, 0) if options.artifact else _export(options)
    # What was just asked for and refused by the gate is an error here, not a plan less.
    wanted = precisions or (() if options.artifact else likely)
    for path, plan in build_engines(folder, plans, wanted, options.engines):
        print(f"plan: {path}: {plan.describe()}")
    return code


def _export(options: argparse.Namespace) -> tuple[Path, int]:
    from fer_engine.manifest import Manifest
    from fer_export import gate
    from fer_export.artifact import REPORT_NAME
    from fer_export.pipeline import ExportOptions, export_model
    from fer_train.data import load

    if options.min_accuracy is not None and options.data is None:
        raise ConfigError("--min-accuracy needs labels: give FER2013 with --data, or use --min-agreement")
    if options.min_agreement is not None and options.data is not None:
        raise ConfigError("--min-agreement is for faces without labels; with --data use --min-accuracy")
    int8 = _int8_options(options)
    bars = {name: getattr(options, f"min_{name}") for name in ("accuracy", "agreement", "speed")}
    export = ExportOptions(
        model=options.model,
        output=options.output or Path("artifacts") / options.model,
        checkpoint=options.checkpoint,
        fp16=options.fp16,
        int8=int8,
        dataset=None if options.data is None else load(options.data),
        max_batch=options.max_batch,
        mean=options.mean,
        scale=options.scale,
        thresholds=gate.Thresholds(**{name: bar for name, bar in bars.items() if bar is not None}),
        force=options.force,
    )
    folder = export_model(export)
    print((folder / REPORT_NAME).read_text("utf-8"))
    print(f"artifact: {folder}")
    refusals = gate.refusals(Manifest.load(folder).gate)
    for precision, reason in refusals.items():
        kept = "kept all the same" if options.force else "not kept; --force keeps it, as for another machine"
        print(f"refused: {precision}: {reason} ({kept})", file=sys.stderr)
    return folder, EXIT_REFUSED if refusals and options.strict else 0


def _int8_options(options: argparse.Namespace) -> Int8Options | None:
    from fer_export.int8 import Int8Options

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
