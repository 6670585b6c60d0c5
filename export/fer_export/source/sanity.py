"""What a network's answers must be like before anything is held against them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError

Logits = NDArray[np.float32]

SUM_TOLERANCE = 1e-3  # of a row of probabilities in float32
# Largest difference of a logit, as a share of all logits' range, that other sums of one product explain.
SAME = 1e-3
TRIED = 16  # faces


def check_logits(logits: Logits, spec: ModelSpec) -> None:
    """Hold a network's answers, float32 [n, labels], against what those of a trained one look like.

    Raises:
        ConfigError: some are not finite, they are the same for every face, or a classifier's are
            probabilities: all between 0 and 1, every row adding up to 1.
    """
    broken = int((~np.isfinite(logits)).any(1).sum())
    if broken:
        raise ConfigError(
            f"{spec.name} gives NaN or infinity for {broken} of {len(logits)} faces; check its weights, and "
            "the mean and scale of the spec"
        )
    if len(logits) > 1 and not np.ptp(logits, 0).any():
        raise ConfigError(
            f"{spec.name} gives the same values for all {len(logits)} faces; check its weights, and "
            "the mean and scale of the spec"
        )
    sums = logits.sum(1)
    if spec.task == "classification" and logits.min() >= 0 and np.abs(sums - 1).max() < SUM_TOLERANCE:
        raise ConfigError(
            f"{spec.name} gives probabilities: no value is negative and every row adds up to 1; give a "
            "network or a file that gives logits, what goes into its softmax"
        )


def check_repeats(answer: Callable[[NDArray[np.uint8]], Logits], faces: NDArray[np.uint8], name: str) -> None:
    """Ask for some of `faces` twice, then for each alone.

    Raises:
        ConfigError: the answers differ.
    """
    first, second = answer(faces[:TRIED]), answer(faces[:TRIED])
    accepted = SAME * float(np.ptp(first))
    if np.abs(first - second).max() > accepted:
        raise ConfigError(
            f"{name} answers differently when asked twice: leave out what draws at random, such as dropout, "
            "in evaluation mode"
        )
    alone = np.concatenate([answer(faces[row : row + 1]) for row in range(len(first))])
    if np.abs(first - alone).max() > accepted:
        raise ConfigError(
            f"{name} answers for a face depending on the others in the batch, as batch norm without running "
            "statistics or a softmax over the batch does; each face must be computed by itself"
        )
