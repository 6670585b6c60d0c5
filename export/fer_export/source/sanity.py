"""Checks of a network's logits, before other graphs are compared with them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError

Logits = NDArray[np.float32]

SUM_TOLERANCE = 1e-3  # of a row of probabilities in float32
# Largest difference of a logit, as a share of all logits' range: the same sums in another order.
REPEAT_TOLERANCE = 1e-3
REPEAT_FACES = 16


def check_logits(logits: Logits, spec: ModelSpec) -> None:
    """Check that logits, float32 [n, labels], can be those of a trained network.

    Raises:
        ConfigError: some are not finite, all faces have the same, or a classifier's are probabilities: none
            is negative and every row adds up to 1.
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


def check_repeats(run: Callable[[NDArray[np.uint8]], Logits], faces: NDArray[np.uint8], name: str) -> None:
    """Run some of `faces` twice, then each alone, and compare the logits.

    Raises:
        ConfigError: the logits differ.
    """
    first, second = run(faces[:REPEAT_FACES]), run(faces[:REPEAT_FACES])
    accepted = REPEAT_TOLERANCE * float(np.ptp(first))
    if np.abs(first - second).max() > accepted:
        raise ConfigError(
            f"{name} gives other values when it is run twice; leave out what draws at random in evaluation "
            "mode, such as dropout"
        )
    alone = np.concatenate([run(faces[row : row + 1]) for row in range(len(first))])
    if np.abs(first - alone).max() > accepted:
        raise ConfigError(
            f"{name} gives values for a face that depend on the others in the batch, as batch norm without "
            "running statistics or a softmax over the batch does; compute each face by itself"
        )
