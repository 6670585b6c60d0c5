"""The temperature of a classifier, fitted on faces that it was not trained on.

Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017: one
number divides the logits, so that no answer changes and the probabilities mean what they say.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact import files
from fer_engine.artifact.spec import NO_TEMPERATURE
from fer_engine.errors import ConfigError, DataError
from fer_train import checkpoint
from fer_train.data import Dataset
from fer_train.data.votes import soft_labels
from fer_train.loop import logits
from fer_train.measures import expected_calibration_error
from fer_train.recipe import Recipe
from fer_train.sampling import hold_out

TRAIN_SPLIT = "Training"
SEED = 0  # not the recipe's: every run with one share and one data set holds out the same faces
LOWEST, HIGHEST = 0.1, 10.0  # of a temperature; networks that were trained have about 0.5 to 3
DECIMALS = 4  # of a temperature: finer than any face can tell
HALVINGS = 60
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted temperature, the number of faces, and their expected calibration error before and after."""

    temperature: float
    faces: int
    ece_before: float
    ece_after: float

    def __str__(self) -> str:
        return (
            f"temperature {self.temperature:g}, fitted on {self.faces} held-out faces: "
            f"expected calibration error {self.ece_before:.4f} before, {self.ece_after:.4f} after"
        )


def held_out(dataset: Dataset, share: float) -> NDArray[np.bool_]:
    """Return which faces of Training, in the dataset's order, take no part in training; bool [n].

    Raises:
        ConfigError: the labels are those of a regression.
        DataError: the share holds no face.
    """
    _, labels = dataset.split(TRAIN_SPLIT)
    if not share:
        return np.zeros(len(labels), np.bool_)
    if dataset.task != "classification":
        raise ConfigError(
            f"--hold-out is for calibrating probabilities, and {dataset.source} is for a {dataset.task}, "
            "which has none; leave it out"
        )
    held = hold_out(labels, share, SEED)
    if not held.any():
        raise DataError(
            f"{dataset.source}: no label of {TRAIN_SPLIT} has two faces, so none can be held out; "
            "give more faces, or leave out --hold-out"
        )
    return held


def calibrate(folder: Path, dataset: Dataset, recipe: Recipe) -> Fit:
    """Fit the temperature of a checkpoint on the faces that the recipe holds out, and write it into its spec.

    What is right is the vote distribution where the data has votes, mixed with the label by the recipe's
    `vote_weight`; faces without votes are left out. Elsewhere it is the label.

    Raises:
        ConfigError: the checkpoint is a regression, trained for INT8, or has other labels than the data, or
            the recipe holds out nothing.
        CheckpointError: it cannot be read.
        DataError: no face can be held out, or none of them has votes.
    """
    network, spec = checkpoint.load(folder)
    _check(folder, dataset, recipe)
    held = held_out(dataset, recipe.hold_out)
    faces, labels = dataset.split(TRAIN_SPLIT)
    targets, known = _targets(labels, dataset, recipe)
    chosen = held & known
    if not chosen.any():
        raise DataError(
            f"{dataset.source}: none of the {int(held.sum())} held-out faces has a vote for a label; give "
            "--vote-weight 0 to calibrate on the labels"
        )
    plain = dataclasses.replace(spec, temperature=NO_TEMPERATURE)
    fit = fit_temperature(logits(network, plain, faces[chosen]), targets[chosen])
    checkpoint.write_spec(folder, dataclasses.replace(spec, temperature=fit.temperature))
    if fit.temperature in (LOWEST, HIGHEST):
        LOG.warning(
            "the best temperature lies beyond %g to %g, whose end is taken: too few faces are held out, or "
            "the network was trained on them", LOWEST, HIGHEST
        )  # fmt: skip
    return fit


def calibrate_copy(start: Path, output: Path, dataset: Dataset, recipe: Recipe) -> Fit:
    """Copy the checkpoint folder `start` to `output`, calibrated; see `calibrate`. They may be the same.

    Raises:
        ConfigError: `output` is there already and is not `start`, or what `calibrate` raises.
    """
    if output.exists() and not (start.exists() and output.samefile(start)):
        raise ConfigError(
            f"{output} is there already, expected a new folder for the calibrated checkpoint, or {start} "
            "itself; give another --output"
        )
    if output.exists():
        return calibrate(output, dataset, recipe)
    _check(start, dataset, recipe)
    with files.folder(output) as fresh:
        shutil.copytree(start, fresh, dirs_exist_ok=True)
        return calibrate(fresh, dataset, recipe)


def fit_temperature(outputs: NDArray[np.floating[Any]], targets: NDArray[np.floating[Any]]) -> Fit:
    """Fit the temperature with the least negative log likelihood, to `DECIMALS`, from `LOWEST` to `HIGHEST`.

    The likelihood is concave in the inverse of the temperature, so its slope is halved upon.

    Args:
        outputs: Logits, [n, classes].
        targets: What is right, [n, classes]: each row has the sum 1.
    """
    outputs, targets = outputs.astype(np.float64), targets.astype(np.float64)

    def slope(inverse: float) -> float:
        """Return the derivative of the mean negative log likelihood by the inverse temperature."""
        powers = np.exp(inverse * (outputs - outputs.max(1, keepdims=True)))
        probabilities = powers / powers.sum(1, keepdims=True)
        return float(((probabilities - targets) * outputs).sum(1).mean())

    low, high = np.log(1 / HIGHEST), np.log(1 / LOWEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(np.exp(middle)) < 0 else (low, middle)
    temperature = round(float(np.exp(-(low + high) / 2)), DECIMALS)
    right = targets[np.arange(len(targets)), outputs.argmax(1)]
    return Fit(
        temperature,
        len(outputs),
        expected_calibration_error(outputs, right),
        expected_calibration_error(outputs / temperature, right),
    )


def _check(folder: Path, dataset: Dataset, recipe: Recipe) -> None:
    """Make sure that a checkpoint can be calibrated on the faces that the recipe holds out of the data."""
    _, spec = checkpoint.load(folder)
    if spec.task != "classification":
        raise ConfigError(
            f"{folder} is a {spec.task}, which has no probabilities to calibrate; expected a classifier"
        )
    if checkpoint.load_quantization(folder) is not None:
        raise ConfigError(
            f"{folder} was trained for INT8 and is exported with the temperature of its float checkpoint; "
            "calibrate that one"
        )
    if (spec.task, spec.labels) != (dataset.task, dataset.names):
        raise ConfigError(
            f"{folder} has the labels {', '.join(spec.labels)}, the data has {', '.join(dataset.names)} for "
            f"{dataset.task}; give its own data"
        )
    if not recipe.hold_out:
        raise ConfigError(
            "no faces to calibrate on: say with --hold-out which share of Training the checkpoint was not "
            "trained on, as in --hold-out 0.05"
        )


def _targets(
    labels: NDArray[np.uint8], dataset: Dataset, recipe: Recipe
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what is right of each face of Training, float32 [n, classes], and where that is known, [n]."""
    votes = dataset.split_votes(TRAIN_SPLIT)
    if votes is None or not recipe.vote_weight:
        return np.eye(len(dataset.names), dtype=np.float32)[labels], np.ones(len(labels), np.bool_)
    return soft_labels(labels, votes, dataset.names, recipe.vote_weight, "distribution")
