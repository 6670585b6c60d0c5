"""The loss that a network is trained on, and the measures of its outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_train.recipe import Recipe

Measures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Classification:
    """Cross entropy and accuracy of classes; `outputs` are logits, float32 [n, k], one column a label."""

    label_smoothing: float
    temperature: float

    def target(self, labels: NDArray[Any]) -> Tensor:
        """Return labels as the other methods take them: classes, int64 [n], or soft ones, float32 [n, k]."""
        return torch.from_numpy(labels if labels.ndim > 1 else labels.astype(np.int64))

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, target, label_smoothing=self.label_smoothing)

    def error(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the validation loss: without label smoothing."""
        return functional.cross_entropy(outputs, target)

    def distillation_loss(self, outputs: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the loss against a teacher's logits, float32 [n, k]; Hinton et al., 2015."""
        soft = functional.kl_div(
            (outputs / self.temperature).log_softmax(1),
            (teacher_logits / self.temperature).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        return soft * self.temperature**2  # keeps the gradient's size when the temperature changes

    def ensemble(self, outputs: Tensor) -> Tensor:
        """Return several networks' logits, float32 [networks, n, k], as one's: those of the mean probability.

        The mean of the logits would do as well for networks of one mind. Where one has learned the labels and
        another the votes, the mean probability is what the right answer by either has.
        """
        return outputs.log_softmax(2).logsumexp(0) - math.log(len(outputs))

    def agreement(self, outputs: Tensor, expected: Tensor) -> float:
        """Return how far the outputs of two networks agree; 1 is fully."""
        return float((outputs.argmax(1) == expected.argmax(1)).float().mean())

    def measures(self, outputs: Tensor, target: Tensor) -> Measures:
        """Return the measures for the log, by name."""
        classes = target.argmax(1) if target.ndim > 1 else target
        return {"accuracy": float((outputs.argmax(1) == classes).float().mean())}

    def score(self, measures: Measures) -> float:
        """Return the number that chooses the best epoch: the highest wins."""
        return measures["accuracy"]


@dataclass(frozen=True, slots=True)
class Regression:
    """The same for values: mean squared error, or 1 - concordance; RMSE, PCC and CCC of each label."""

    names: tuple[str, ...]
    kind: str

    def target(self, labels: NDArray[Any]) -> Tensor:
        return torch.from_numpy(labels.astype(np.float32))

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.kind == "ccc":
            return (1 - concordance(outputs, target)).mean()
        return functional.mse_loss(outputs, target)

    def error(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self.loss(outputs, target)

    def distillation_loss(self, outputs: Tensor, teacher_logits: Tensor) -> Tensor:
        return functional.mse_loss(outputs, teacher_logits)

    def ensemble(self, outputs: Tensor) -> Tensor:
        return outputs.mean(0)

    def agreement(self, outputs: Tensor, expected: Tensor) -> float:
        return float(concordance(outputs, expected).mean())

    def measures(self, outputs: Tensor, target: Tensor) -> Measures:
        columns = {
            "rmse": (outputs - target).square().mean(0).sqrt(),
            "pcc": correlation(outputs, target),
            "ccc": concordance(outputs, target),
        }
        return {
            f"{name}_{measure}": float(values[index])
            for index, name in enumerate(self.names)
            for measure, values in columns.items()
        }

    def score(self, measures: Measures) -> float:
        return sum(measures[f"{name}_ccc"] for name in self.names) / len(self.names)


def find_objective(spec: ModelSpec, recipe: Recipe) -> Classification | Regression:
    """Return the objective of the spec's task.

    Raises:
        ConfigError: the recipe's `loss` is for another task.
    """
    if spec.task == "regression":
        return Regression(spec.labels, recipe.loss or "mse")
    if recipe.loss is not None:
        raise ConfigError(f"loss {recipe.loss!r} is for regressions, {spec.name} has classes: leave it out")
    return Classification(recipe.label_smoothing, recipe.temperature)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's correlation of each column of [n, k]; 0 where one does not vary."""
    a, b = a - a.mean(0), b - b.mean(0)
    spread = (a.square().mean(0) * b.square().mean(0)).sqrt()
    return torch.where(spread > 0, (a * b).mean(0) / spread.clamp_min(torch.finfo(a.dtype).tiny), 0.0)


def concordance(a: Tensor, b: Tensor) -> Tensor:
    """Return Lin's concordance correlation coefficient (1989) of each column of [n, k].

    Unlike Pearson's it is 1 only where the values are the same; 0 where neither varies.
    """
    covariance = ((a - a.mean(0)) * (b - b.mean(0))).mean(0)
    total = a.var(0, correction=0) + b.var(0, correction=0) + (a.mean(0) - b.mean(0)).square()
    return 2 * covariance / total.clamp_min(torch.finfo(a.dtype).eps)
