"""One training run in a folder of its own: log, figures, and a state from which it goes on.

run.json           the options of the run; a resumed run must have the same
state.pt           network, average, optimizer, epochs done: replaced whole after each epoch
best/              the checkpoint with the best score so far: validation accuracy, the mean concordance
                   of a regression, or agreement with the float network in quantization-aware training,
                   whose ranges lie there as well; at the end its spec gets the temperature that was fitted
                   on the faces held out
log.csv            one row an epoch
curves.png         loss and accuracy
confusion.png      of the best checkpoint, on the validation split; predictions.png of a regression
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_engine.artifact import files
from fer_engine.artifact.schema import SchemaError, from_json
from fer_engine.artifact.spec import NO_TEMPERATURE, ModelSpec
from fer_engine.errors import CheckpointError, ConfigError, DataError, FerError, first_line
from fer_engine.system import progress
from fer_train import checkpoint, figures, qat, temperature
from fer_train.checkpoint import load_backbone
from fer_train.data import Dataset
from fer_train.data.votes import majority, soft_labels
from fer_train.fake_quant import FakeQuantized
from fer_train.loop import Epoch, Faces, Labels, Trainer, logits
from fer_train.measures import confusion_counts
from fer_train.models import find_model
from fer_train.recipe import Recipe
from fer_train.stages import INPUT
from fer_train.temperature import TRAIN_SPLIT

VALIDATION_SPLIT = "PublicTest"
LOG = logging.getLogger(__name__)
LENGTH = ("stop", "patience")  # options that end a run sooner or later, but change no epoch of it
SHARED = ("labels", "task", *INPUT)  # what a teacher's spec has in common


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to train, where to put it, and where to start from."""

    model: str
    output: Path
    recipe: Recipe
    init: Path | None = None  # a checkpoint folder, or a state dict, whose weights to start from
    teachers: tuple[Path, ...] = ()  # checkpoint folders to distill from
    threads: int = 1  # part of the run: another number rounds sums another way
    resume: bool = False
    qat: bool = False  # train for INT8, from `init` or the checkpoint that ships

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(f"threads must be at least 1, got {self.threads}")
        if self.qat and self.recipe.bf16:
            raise ConfigError(
                "--qat trains in float32: bfloat16 rounds about as coarsely as the int8 to be learned; "
                "leave out --bf16"
            )
        if self.qat and self.recipe.hold_out:
            raise ConfigError(
                "--qat keeps the answers of the float network, and its temperature; hold faces out of the "
                "float training, and leave out --hold-out here"
            )

    def start(self) -> Path | None:
        """Return the checkpoint folder or state dict to start from; None for fresh weights."""
        if self.init is None and self.qat:
            return checkpoint.pretrained(self.model)
        return self.init


@dataclass(frozen=True, slots=True)
class RecordedOptions:
    """What run.json holds: the options that shape a run."""

    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """What state.pt holds: that of the trainer (see `Trainer.state`), and the epochs so far."""

    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    finished: int
    steps: int
    epochs: list[Epoch]


def train(options: RunOptions, dataset: Dataset) -> Path:
    """Train to the end of the recipe (or its patience); return the best checkpoint's folder.

    Raises:
        ConfigError: the output folder holds a run and `resume` was not asked for, or another run.
        CheckpointError: `init`, a teacher or the state to resume from cannot be used.
        DataError: a split is missing, or all that is there to learn is one class.
        FerError: the loss is no longer finite.
    """
    torch.set_num_threads(options.threads)
    train_split, validation = dataset.split(TRAIN_SPLIT), dataset.split(VALIDATION_SPLIT)
    _check_classes(dataset, train_split[1])
    train_split, voted = _learned(dataset, train_split, options.recipe), _majority(dataset)
    trainer = _trainer(options, dataset, train_split[0])
    _claim(options, dataset)
    epochs = _restore(options, trainer)
    last = min(options.recipe.stop or math.inf, options.recipe.epochs)
    while trainer.finished < last and not _is_out_of_patience(epochs, options.recipe.patience):
        title = f"epoch {trainer.finished + 1}/{options.recipe.epochs}"
        with progress.bar(title, len(train_split[0])) as advance:
            epoch = trainer.run_epoch(train_split, validation, advance, voted)
        _check_finite(epoch, options.output)
        better = epoch.score > _best(epochs)
        epochs.append(epoch)
        _save(options.output, trainer, epochs, better)
        print(f"{title}: {_summary(epoch)}{' (best)' if better else ''}, {epoch.seconds:.0f} s", flush=True)
    best = options.output / "best"
    if options.recipe.hold_out:
        print(temperature.calibrate(best, dataset, options.recipe), flush=True)
    _draw_predictions(best, options.qat, validation, options.output)
    return best


def _learned(dataset: Dataset, split: tuple[Faces, Labels], recipe: Recipe) -> tuple[Faces, Labels]:
    """Return what trains of Training: without the faces held out, and the labels mixed with their votes.

    Faces without votes are left out.
    """
    votes, (faces, labels) = dataset.split_votes(TRAIN_SPLIT), split
    if recipe.hold_out:
        kept = ~temperature.held_out(dataset, recipe.hold_out)
        print(f"{int((~kept).sum())} faces of {TRAIN_SPLIT} are held out, to fit the temperature on")
        faces, labels, votes = faces[kept], labels[kept], None if votes is None else votes[kept]
    if votes is None or recipe.vote_weight == 0:
        return faces, labels
    soft, voted = soft_labels(labels, votes, dataset.names, recipe.vote_weight, recipe.vote_target)
    if not voted.any():
        raise DataError(
            f"{dataset.source}: no face of {TRAIN_SPLIT} has a {recipe.vote_target} of votes; "
            "train on the labels with --vote-weight 0"
        )
    left_out = int((~voted).sum())
    print(f"{left_out} faces of {TRAIN_SPLIT} without a {recipe.vote_target} of votes are left out")
    return faces[voted], soft[voted]


def _majority(dataset: Dataset) -> Labels | None:
    votes = dataset.split_votes(VALIDATION_SPLIT)
    return None if votes is None else majority(votes, dataset.names)


def _check_finite(epoch: Epoch, output: Path) -> None:
    losses = {"training": epoch.train_loss, "validation": epoch.validation_loss}
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise FerError(
                f"the {name} loss of epoch {epoch.epoch} is {loss}: the training diverged; start anew in "
                f"another --output with a lower --learning-rate ({output} keeps the epochs before, if any)"
            )


def _check_classes(dataset: Dataset, labels: Labels) -> None:
    if dataset.task != "classification":
        return
    counts = np.bincount(labels, minlength=len(dataset.names))
    absent = [name for name, count in zip(dataset.names, counts, strict=True) if not count]
    if len(dataset.names) - len(absent) < 2:
        raise DataError(
            f"{dataset.source}: {TRAIN_SPLIT} has faces of {len(dataset.names) - len(absent)} of the labels "
            f"{', '.join(dataset.names)}, expected at least two to tell apart"
        )
    if absent:
        LOG.warning("no face of %s is %s: the network cannot learn it", TRAIN_SPLIT, " or ".join(absent))


def _trainer(options: RunOptions, dataset: Dataset, faces: Faces) -> Trainer:
    torch.manual_seed(options.recipe.seed)
    start = options.start()
    if start is not None and start.is_dir():
        network, spec = checkpoint.load(start)
        if spec.name != options.model:
            raise ConfigError(f"{start} is a checkpoint of {spec.name}, not of {options.model}")
        if (spec.task, spec.labels) != (dataset.task, dataset.names):
            raise ConfigError(
                f"{start} has the labels {', '.join(spec.labels)} for {spec.task}, the data has "
                f"{', '.join(dataset.names)} for {dataset.task}; start anew, or give its own data"
            )
    elif start is not None and options.qat:
        raise ConfigError(f"--qat starts from a finished network, expected a checkpoint folder, got {start}")
    else:
        entry = find_model(options.model)
        spec = dataset.describe(entry.spec)
        network = entry.build(spec)
        if start is not None:
            print(load_backbone(start, network), flush=True)
    teachers = [_teacher(folder, spec) for folder in options.teachers]
    if options.qat:  # which keeps the float network's temperature with its answers
        return qat.make_trainer(network, spec, options.recipe, teachers, faces)
    # Of other weights than those that the temperature was fitted for.
    spec = dataclasses.replace(spec, temperature=NO_TEMPERATURE)
    return Trainer(network, spec, options.recipe, teachers)


def _teacher(folder: Path, spec: ModelSpec) -> nn.Module:
    teacher, own = checkpoint.load(folder)
    if any(getattr(own, field) != getattr(spec, field) for field in SHARED):
        raise ConfigError(
            f"the teacher {folder} has other labels, input or normalization than {spec.name}; "
            "train one with the same spec"
        )
    return teacher


def _claim(options: RunOptions, dataset: Dataset) -> None:
    """Write run.json; where a run to resume has one, make sure that it holds the same options."""
    asked = {
        "model": options.model,
        "init": _digest(options.start()),
        "teacher": ", ".join(str(_digest(folder)) for folder in options.teachers) or None,
        "threads": options.threads,
        "data": dataset.fingerprint,
        **dataclasses.asdict(options.recipe),
        **({"qat": True} if options.qat else {}),
    }
    path = options.output / "run.json"
    if not path.exists():
        files.write_text(path, json.dumps(asked, indent=2) + "\n")
        return
    if not options.resume:
        raise ConfigError(
            f"{options.output} already holds a run; add --resume to go on with it, or give another --output"
        )
    try:
        recorded = from_json(RecordedOptions, {"options": json.loads(path.read_text("utf-8"))}).options
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}); start anew in another --output") from None
    recorded = {**dataclasses.asdict(Recipe()), **recorded}  # an earlier release had fewer options
    differing = sorted(
        key for key in {**recorded, **asked} if key not in LENGTH and recorded.get(key) != asked.get(key)
    )
    if differing:
        was = ", ".join(f"{key} {recorded.get(key)!r} (now {asked.get(key)!r})" for key in differing)
        raise ConfigError(f"{options.output} was trained with {was}; resume with the same options and data")


def _digest(start: Path | None) -> str | None:
    if start is None or start.is_dir():
        return None if start is None else checkpoint.load(start)[1].checkpoint_sha256
    return hashlib.sha256(start.read_bytes()).hexdigest()


def _restore(options: RunOptions, trainer: Trainer) -> list[Epoch]:
    path = options.output / "state.pt"
    files.recover(options.output / "best")
    if not path.exists():
        return []
    try:
        content = torch.load(path, weights_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged pickle raises anything
        raise _not_resumable(path, type(error).__name__) from None
    try:
        state = from_json(State, content)
        trainer.restore(content)
    except (SchemaError, RuntimeError, ValueError) as error:  # PyTorch's where the weights do not fit
        raise _not_resumable(path, first_line(error)) from None
    _log(options.output, state.epochs)  # may have been cut off after the state was written
    return state.epochs


def _not_resumable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be resumed from ({reason}); start anew in another --output, "
        f"with --init {path.with_name('best')} to keep what was learned"
    )


def _save(output: Path, trainer: Trainer, epochs: list[Epoch], better: bool) -> None:
    """Write the best checkpoint first: if it is cut off here, the epoch is repeated to the bit."""
    if better:
        _save_best(output / "best", trainer)
    content = io.BytesIO()
    torch.save({**trainer.state(), "epochs": [dataclasses.asdict(epoch) for epoch in epochs]}, content)
    files.write_bytes(output / "state.pt", content.getvalue())
    _log(output, epochs)


def _log(output: Path, epochs: list[Epoch]) -> None:
    rows = [dataclasses.asdict(epoch) for epoch in epochs]
    rows = [row | row.pop("measures") for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(output / "log.csv", text.getvalue())
    figures.learning_curves(epochs, output / "curves.png")


def _save_best(folder: Path, trainer: Trainer) -> None:
    if isinstance(trainer.average, FakeQuantized):
        qat.save_qat(folder, trainer.average, trainer.spec)
    else:
        checkpoint.save(folder, trainer.average, trainer.spec)


def _summary(epoch: Epoch) -> str:
    shown = {name: value for name, value in epoch.measures.items() if not name.startswith("train_")}
    values = [f"{name.replace('_', ' ')} {value:.4f}" for name, value in shown.items()]
    return ", ".join([f"loss {epoch.train_loss:.4f}", *values])


def _best(epochs: list[Epoch]) -> float:
    return max((epoch.score for epoch in epochs), default=-math.inf)


def _is_out_of_patience(epochs: list[Epoch], patience: int) -> bool:
    """Return whether the last `patience` epochs were no better than those before; never if it is 0."""
    if not patience or len(epochs) <= patience:
        return False
    return _best(epochs[-patience:]) <= _best(epochs[:-patience])


def _draw_predictions(best: Path, int8: bool, validation: tuple[Faces, Labels], output: Path) -> None:
    network, spec = qat.load_qat(best) if int8 else checkpoint.load(best)
    faces, labels = validation
    outputs = logits(network, spec, faces)
    if spec.task == "regression":
        figures.predictions(labels, outputs, spec.labels, output / "predictions.png")
        return
    counts = confusion_counts(labels, outputs.argmax(1), len(spec.labels))
    figures.confusion_matrix(counts, spec.labels, output / "confusion.png")
