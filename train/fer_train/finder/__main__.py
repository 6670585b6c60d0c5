"""python -m fer_train.finder: train the face finder on FER2013 and a folder of pictures without faces."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from fer_engine.cli import exit_codes
from fer_train.finder.amounts import Amounts


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser("python -m fer_train.finder", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="FER2013: a csv, npz or folder of images")
    parser.add_argument("--backgrounds", type=Path, required=True, help="folder of pictures without faces")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the run; what it has is not made again"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how much of all pictures and steps (default: 1)"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def run() -> int:
        from fer_train.finder.run import train_finder

        train_finder(options.data, options.backgrounds, options.output, Amounts().scaled(options.scale))
        return 0

    return exit_codes.run_command(run)


if __name__ == "__main__":
    raise SystemExit(main())
