"""fer-export: turn a checkpoint into a verified artifact folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fer_engine import __version__, command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return command.run(lambda: _export(options))


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
    parser.add_argument("--int8", action="store_true", help="write an int8 graph too")
    parser.add_argument(
        "--data", type=Path, help="FER2013, to calibrate on Training and verify on PublicTest"
    )
    parser.add_argument("--calibration-size", type=int, default=512, help="faces (default: %(default)s)")
    parser.add_argument(
        "--calibration-method",
        default="mse",
        help="how ranges are chosen: max, percentile, entropy or mse (default: %(default)s)",
    )
    parser.add_argument(
        "--max-batch", type=int, default=64, help="largest batch to verify (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="artifact folder (default: artifacts/MODEL)")
    return parser


def _export(options: argparse.Namespace) -> int:
    from fer_export.pipeline import ExportOptions, export_model
    from fer_train.data import load

    export = ExportOptions(
        model=options.model,
        output=options.output or Path("artifacts") / options.model,
        checkpoint=options.checkpoint,
        fp16=options.fp16,
        int8=options.int8,
        dataset=None if options.data is None else load(options.data),
        calibration_size=options.calibration_size,
        calibration_method=options.calibration_method,
        max_batch=options.max_batch,
        mean=options.mean,
        scale=options.scale,
    )
    folder = export_model(export)
    print((folder / "report.md").read_text("utf-8"))
    print(f"artifact: {folder}")
    return 0
