"""fer-train: train a network on FER2013."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_engine import __version__, command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return command.run(lambda: _train(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-train", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--model", default="mini_xception", help="network to train (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="list the networks and leave")
    parser.add_argument("--data", type=Path, help="FER2013: a csv, a folder of images, or an npz")
    parser.add_argument("--output", type=Path, help="folder of the run (default: runs/MODEL, runs/MODEL-qat)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    parser.add_argument(
        "--qat", action="store_true", help="train for INT8, from --init or the checkpoint that ships"
    )
    parser.add_argument("--init", type=Path, help="start from the weights of this checkpoint folder")
    parser.add_argument("--teacher", type=Path, help="distill from this checkpoint folder as well")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    recipe = parser.add_argument_group("recipe (defaults: see fer_train/recipe.py)")
    recipe.add_argument("--epochs", type=int)
    recipe.add_argument("--batch-size", type=int)
    recipe.add_argument("--learning-rate", type=float)
    recipe.add_argument("--weight-decay", type=float)
    recipe.add_argument("--label-smoothing", type=float)
    recipe.add_argument("--ema-decay", type=float)
    recipe.add_argument("--distillation", type=float, help="weight of the teacher, 0 to 1")
    recipe.add_argument("--temperature", type=float, help="of the distillation")
    recipe.add_argument("--patience", type=int, help="stop after so many epochs without a better one")
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--bf16", action="store_true", default=None, help="autocast to bfloat16")
    augmentation = parser.add_argument_group("augmentation (defaults: see fer_train/augment.py)")
    for name in ("rotation", "shift", "zoom", "flip", "brightness", "contrast", "erase", "noise"):
        augmentation.add_argument(f"--{name}", type=float)
    return parser


def _train(options: argparse.Namespace) -> int:
    from fer_engine.errors import ConfigError
    from fer_train.augment import Augmentation
    from fer_train.data import load
    from fer_train.models import MODELS, find
    from fer_train.recipe import QAT, Recipe
    from fer_train.run import RunOptions, train

    if options.list:
        for name, entry in sorted(MODELS.items()):
            print(f"{name}: {entry.source}")
        return 0
    find(options.model)
    if options.data is None:
        raise ConfigError("--data is missing: give fer2013.csv, a folder of images, or an npz")
    given = {key: value for key, value in vars(options).items() if value is not None}
    defaults = QAT if options.qat else Recipe()
    augmentation = dataclasses.replace(defaults.augmentation, **_of(Augmentation, given))
    run = RunOptions(
        model=options.model,
        output=options.output or Path("runs") / f"{options.model}{'-qat' if options.qat else ''}",
        recipe=dataclasses.replace(defaults, **_of(Recipe, given), augmentation=augmentation),
        init=options.init,
        teacher=options.teacher,
        threads=options.threads,
        resume=options.resume,
        qat=options.qat,
    )
    dataset = load(options.data)
    print(dataset.report())
    best = train(run, dataset)
    print(f"best checkpoint: {best}")
    return 0


def _of(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    """Return those of the given options that are fields of the dataclass `kind`."""
    return {field.name: given[field.name] for field in dataclasses.fields(kind) if field.name in given}
