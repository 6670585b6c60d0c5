"""fer-train: train a network on FER2013, or on labelled faces of your own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import exit_codes

if TYPE_CHECKING:
    from fer_train.stages import Stage
    from fer_train.training_run import RunOptions

DEFAULT_MODEL = "mini_xception"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return exit_codes.run(lambda: _list() if options.list else _train(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-train", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--model", help=f"network to train (default: {DEFAULT_MODEL})")
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="train as a recipe says; options given beside it go before it"
    )
    parser.add_argument("--list", action="store_true", help="list networks and recipes, and leave")
    parser.add_argument("--output", type=Path, help="folder of the run (default: runs/MODEL, runs/MODEL-qat)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    parser.add_argument(
        "--qat", action="store_true", default=None, help="train for INT8, from --init or the shipped one"
    )
    parser.add_argument("--init", type=Path, help="start from this checkpoint folder, or state dict")
    parser.add_argument(
        "--teacher",
        type=Path,
        action="append",
        help="distill from this checkpoint folder; of several, their mean",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: 1)")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, help="FER2013 or another set: a csv, a folder of images, or an npz"
    )
    data.add_argument(
        "--labels", help="the labels of a set of your own, as a,b,c; of AffectNet, those to learn"
    )
    data.add_argument(
        "--images", type=Path, help="folder of the images that a csv names (default: the csv's)"
    )
    recipe = parser.add_argument_group("recipe (defaults: see fer_train/recipe.py)")
    recipe.add_argument("--epochs", type=int)
    recipe.add_argument("--stop", type=int, help="stop after this epoch of them")
    recipe.add_argument("--batch-size", type=int)
    recipe.add_argument("--learning-rate", type=float)
    recipe.add_argument("--weight-decay", type=float)
    recipe.add_argument("--label-smoothing", type=float)
    recipe.add_argument("--mixup", type=float, help="of Beta(MIXUP, MIXUP), a second face's share in each")
    recipe.add_argument("--loss", help="of a regression: mse or ccc (default: mse)")
    recipe.add_argument("--ema-decay", type=float)
    recipe.add_argument("--distillation", type=float, help="weight of the teacher, 0 to 1")
    recipe.add_argument("--temperature", type=float, help="of the distillation")
    recipe.add_argument(
        "--teacher-mirror", action="store_true", default=None, help="average the teacher over mirror images"
    )
    recipe.add_argument("--patience", type=int, help="stop after so many epochs without a better one")
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--bf16", action="store_true", default=None, help="autocast to bfloat16")
    augmentation = parser.add_argument_group("augmentation (defaults: see fer_train/augment.py)")
    for name in ("rotation", "shift", "zoom", "flip", "brightness", "contrast", "erase", "noise"):
        augmentation.add_argument(f"--{name}", type=float)
    return parser


def _list() -> int:
    from fer_train.models import MODELS
    from fer_train.stages import shipped_recipes

    print(f"{'network':16}{'input':>12}{'parameters':>14}{'multiply-adds':>17}  source")
    for name, entry in sorted(MODELS.items()):
        size = "x".join(map(str, entry.spec.face_shape))
        print(f"{name:16}{size:>12}{entry.parameters:14,}{entry.multiply_adds:17,}  {entry.source}")
    print(f"recipes: {', '.join(shipped_recipes())}")
    return 0


def _train(options: argparse.Namespace) -> int:
    from fer_engine.errors import ConfigError
    from fer_train.data import load_dataset
    from fer_train.models import find_model
    from fer_train.training_run import train

    stages = _stages(options)
    spec = [find_model(stage.model).spec for stage in stages][-1]
    if options.data is None:
        raise ConfigError("--data is missing: give fer2013.csv, a folder of images, or an npz")
    names = None if options.labels is None else [name.strip() for name in options.labels.split(",")]
    runs = _runs(stages, options)
    dataset = load_dataset(options.data, names=names, images=options.images, face_shape=spec.face_shape)
    print(dataset.report())
    for stage, run in zip(stages, runs, strict=True):
        if len(stages) > 1:
            print(f"stage {stage.name}: {stage.model}", flush=True)
        best = train(run, dataset)
    print(f"best checkpoint: {best}")
    return 0


def _stages(options: argparse.Namespace) -> list[Stage]:
    from fer_engine.errors import ConfigError
    from fer_train.stages import read_stages, stage_from_options

    # Those two name folders here, and stages in a recipe.
    given = {key: value for key, value in vars(options).items() if key not in ("init", "teacher")}
    given = {key: value for key, value in given.items() if value is not None}
    if options.recipe is None:
        return [stage_from_options({"model": DEFAULT_MODEL, **given})]
    if options.model or options.qat:
        raise ConfigError("give --recipe, or --model and --qat: a recipe names the networks itself")
    stages = read_stages(options.recipe, given)
    if options.teacher and stages[-1].teacher:
        raise ConfigError(f"--recipe {options.recipe} trains a teacher of its own; leave out --teacher")
    return stages


def _runs(stages: list[Stage], options: argparse.Namespace) -> list[RunOptions]:
    """Lay each stage's run into a folder: the last has --output itself, so that the result is best/ there."""
    from fer_train.training_run import RunOptions

    first, last = stages[0], stages[-1]
    name = (
        f"{last.model}{'-qat' if last.qat else ''}" if options.recipe is None else Path(options.recipe).stem
    )
    output = options.output or Path("runs") / name
    given = tuple(options.teacher or ())
    folders = {stage.name: output if stage is last else output / stage.name for stage in stages}
    best = {stage.name: folders[stage.name] / "best" for stage in stages}
    return [
        RunOptions(
            model=stage.model,
            output=folders[stage.name],
            recipe=stage.recipe,
            init=best[stage.init] if stage.init else (options.init if stage is first else None),
            teachers=tuple(best[name] for name in stage.teacher) or (given if stage is last else ()),
            threads=stage.threads,
            resume=options.resume,
            qat=stage.qat,
        )
        for stage in stages
    ]
