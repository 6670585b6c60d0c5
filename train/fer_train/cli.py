"""fer-train: train a network on FER2013, or on labelled faces of your own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_engine._version import __version__
from fer_engine.cli import exit_codes
from fer_engine.system import progress
from fer_train.recipe import LOSSES, Augmentation, Recipe

if TYPE_CHECKING:
    from fer_engine.artifact.spec import ModelSpec
    from fer_train.data import Dataset
    from fer_train.stages import Stage
    from fer_train.training_run import RunOptions

DEFAULT_MODEL = "mini_xception"
HELP = {
    "recipe": "train as a recipe says; options beside it take the place of its own (default: none)",
    "output": "folder of the run (default: runs/MODEL, with --qat runs/MODEL-qat)",
    "qat": "train for INT8, from --init or the checkpoint that ships (default: no)",
    "init": "checkpoint folder or state dict whose weights to start from (default: none, random weights)",
    "teacher": "checkpoint folder to distill from; several teach by their mean probability (default: none)",
    "data": "FER2013 or labelled faces of your own: a csv, npz or folder of images (no default: needed)",
    "labels": "labels of a set of your own, in order, as in calm,tense; of AffectNet, those to learn "
    "(default: those of the set)",
    "calibrate": "train nothing: fit the temperature of the checkpoint --init on the faces of --hold-out, on "
    "which it must not have been trained, and write it to --output (default: no)",
    "votes": "FER+'s votes for --data: fer2013new.csv, or an npz; --labels ferplus has its eight labels "
    "(default: those in --data, if any)",
}
# Fields of `Recipe` that are options, with what each means.
RECIPE = {
    "epochs": "epochs that the learning rate's schedule lays out",
    "stop": "stop after this epoch of them; 0 is after the last",
    "patience": "stop after so many epochs without a better one; 0 is never",
    "batch_size": "faces in a batch",
    "learning_rate": "peak learning rate",
    "weight_decay": "weight decay of AdamW, on kernels and matrices",
    "label_smoothing": "share of each label that is spread over all classes",
    "mixup": "alpha of mixup's Beta(alpha, alpha); 0 mixes no faces",
    "vote_weight": "weight of FER+'s votes against the original label, 0 to 1",
    "vote_target": "what the votes stand for: distribution or majority",
    "hold_out": "share of Training that trains nothing, to fit the probabilities' temperature on; 0 is none",
    "loss": "loss of a regression: mse or ccc",
    "ema_decay": "decay of the moving average of the weights, which is what is kept",
    "distillation": "weight of the teacher against the labels, 0 to 1",
    "temperature": "temperature of the distillation",
    "teacher_mirror": "average the teacher over each face and its mirror image",
    "teacher_once": "ask the teacher once about each face as it is, not about each changed one",
    "seed": "seed of all random numbers",
    "bf16": "compute in bfloat16 where PyTorch's autocast can",
}
# Options that --calibrate goes with.
CALIBRATION = {"calibrate", "init", "output", "quiet", "hold_out", "vote_weight"}
CALIBRATION |= {"data", "labels", "images", "votes"}
AUGMENTATION = {
    "rotation": "degrees to either side",
    "shift": "share of the side",
    "zoom": "share to either side of 1",
    "flip": "probability of a mirror image",
    "brightness": "share of the full range, to either side",
    "contrast": "share to either side of 1",
    "erase": "probability of a gray rectangle",
    "noise": "largest standard deviation, as a share of the full range",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    with progress.hidden(options.quiet):
        return exit_codes.run_command(lambda: _command(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-train", description=__doc__)
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("-m", "--model", help=f"network to train (default: {DEFAULT_MODEL})")
    add("--recipe", metavar="NAME|FILE", help=HELP["recipe"])
    add("--list", action="store_true", help="list the networks and recipes, and train nothing (default: no)")
    add("-o", "--output", type=Path, help=HELP["output"])
    add("--resume", action="store_true", help="go on with the run in --output (default: start a new one)")
    add("--qat", action="store_true", default=None, help=HELP["qat"])
    add("--calibrate", action="store_true", help=HELP["calibrate"])
    add("--init", type=Path, help=HELP["init"])
    add("--teacher", type=Path, action="append", help=HELP["teacher"])
    add("--threads", type=int, help="CPU threads; another number rounds sums in another way (default: 1)")
    add("-q", "--quiet", action="store_true", help="show no progress (default: show it)")
    add = parser.add_argument_group("data").add_argument
    add("--data", type=Path, help=HELP["data"])
    add("--labels", help=HELP["labels"])
    add("--images", type=Path, help="folder of the images that a csv names (default: the csv's own)")
    add("--votes", type=Path, help=HELP["votes"])
    _add_fields(parser.add_argument_group("recipe", "With --qat some defaults are others."), Recipe(), RECIPE)
    _add_fields(parser.add_argument_group("augmentation"), Augmentation(), AUGMENTATION)
    return parser


def _add_fields(group: argparse._ArgumentGroup, defaults: object, texts: dict[str, str]) -> None:
    """Add an option for each field of a dataclass; one that is not given stays None."""
    for name, text in texts.items():
        option, default = f"--{name.replace('_', '-')}", getattr(defaults, name)
        if isinstance(default, bool):
            group.add_argument(option, action="store_true", default=None, help=f"{text} (default: no)")
        else:
            default = LOSSES[0] if default is None else default
            group.add_argument(option, type=type(default), help=f"{text} (default: {default})")


def _command(options: argparse.Namespace) -> int:
    if options.list:
        return _list()
    return _calibrate(options) if options.calibrate else _train(options)


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
    from fer_train.models import find_model
    from fer_train.training_run import train

    stages = _stages(options)
    spec = [find_model(stage.model).spec for stage in stages][-1]
    runs = _runs(stages, options)
    dataset = _dataset(options, spec)
    print(dataset.report())
    _check_votes(stages, options, dataset)
    for stage, run in zip(stages, runs, strict=True):
        if len(stages) > 1:
            print(f"stage {stage.name}: {stage.model}", flush=True)
        best = train(run, dataset)
    print(f"best checkpoint: {best}")
    return 0


def _check_votes(stages: list[Stage], options: argparse.Namespace, dataset: Dataset) -> None:
    """Raise ConfigError where votes were asked for and the data has none: before the first stage's hours."""
    from fer_engine.errors import ConfigError

    weight = max(options.vote_weight or 0, *(stage.recipe.vote_weight % 1 for stage in stages))
    if weight and dataset.votes is None:
        raise ConfigError(
            f"a vote weight of {weight:g} was asked for, and {dataset.source} has no votes: give FER+'s with "
            "--votes fer2013new.csv, or learn from the labels alone with --vote-weight 0"
        )


def _dataset(options: argparse.Namespace, spec: ModelSpec) -> Dataset:
    from fer_engine.errors import ConfigError
    from fer_train.data import load_dataset

    if options.data is None:
        raise ConfigError("--data is missing: give fer2013.csv, a folder of images, or an npz")
    names = None if options.labels is None else [name.strip() for name in options.labels.split(",")]
    return load_dataset(
        options.data, names=names, images=options.images, face_shape=spec.face_shape, votes=options.votes
    )


def _calibrate(options: argparse.Namespace) -> int:
    from fer_engine.errors import ConfigError
    from fer_train import checkpoint
    from fer_train.stages import stage_from_options
    from fer_train.temperature import calibrate_copy

    given = {name: value for name, value in vars(options).items() if value not in (None, False)}
    others = sorted(set(given) - CALIBRATION)
    if others:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise ConfigError(f"--calibrate trains nothing: leave out {listed}")
    if options.init is None or options.output is None:
        raise ConfigError("--calibrate needs a checkpoint folder with --init, and where to write it with -o")
    _, spec = checkpoint.load(options.init)
    fitting: dict[str, Any] = {name: given[name] for name in ("hold_out", "vote_weight") if name in given}
    recipe = stage_from_options({"model": DEFAULT_MODEL, **fitting}).recipe
    fit = calibrate_copy(options.init, options.output, _dataset(options, spec), recipe)
    print(f"{fit}\ncalibrated checkpoint: {options.output}")
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
