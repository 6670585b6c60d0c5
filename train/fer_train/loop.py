"""The training loop: one epoch after another, each resumable to the bit."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from fer_engine.spec import ModelSpec
from fer_train.augment import augment
from fer_train.recipe import Recipe

Faces = NDArray[np.uint8]
Labels = NDArray[np.integer[Any]]


@dataclass(slots=True)
class Epoch:
    """What one epoch gave; `seconds` is its wall time, validation included.

    `agreement` is the share of validation faces that get the float network's answer, in
    quantization-aware training.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    agreement: float | None = None

    @property
    def score(self) -> float:
        """What the best epoch has most of: agreement where it is measured, else validation accuracy."""
        return self.validation_accuracy if self.agreement is None else self.agreement


def normalize(faces: Tensor, spec: ModelSpec) -> Tensor:
    """Map raw gray levels [n, h, w] or [n, h, w, c] to what the network takes, [n, c, h, w]."""
    pixels = faces.float()  # first: nothing but a cast takes uint8 in TensorRT
    pixels = pixels.unsqueeze(1) if spec.channels == 1 else pixels.permute(0, 3, 1, 2)
    mean, scale = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.scale))
    return (pixels - mean) / scale


def batches(faces: Faces, size: int = 256) -> Iterator[Tensor]:
    for start in range(0, len(faces), size):
        yield torch.from_numpy(np.ascontiguousarray(faces[start : start + size]))


@torch.inference_mode()
def logits(network: nn.Module, spec: ModelSpec, faces: Faces) -> NDArray[np.float32]:
    """Run `network` in evaluation mode on raw faces; float32 [n, classes]."""
    network.eval()
    parts = [network(normalize(batch, spec)) for batch in batches(faces)]
    return torch.cat(parts).numpy() if parts else np.empty((0, len(spec.labels)), np.float32)


class Trainer:
    """Trains one network by one recipe.

    Randomness comes from a generator made anew from (seed, epoch), so an epoch that was
    interrupted is repeated exactly; `state` and `restore` carry everything else.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: ModelSpec,
        recipe: Recipe,
        teacher: nn.Module | None = None,
        original: nn.Module | None = None,  # whose answers the network should keep
    ) -> None:
        self.network = _channels_last(network)
        self.average = copy.deepcopy(self.network)
        self.teacher = _channels_last(teacher).eval() if teacher else None
        self.original = _channels_last(original).eval() if original else None
        self.spec = spec
        self.recipe = recipe
        self.optimizer = torch.optim.AdamW(
            _weight_groups(self.network, recipe.weight_decay), lr=recipe.learning_rate
        )
        self.finished = 0  # epochs
        self.steps = 0

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "finished": self.finished,
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.finished = state["finished"]
        self.steps = state["steps"]

    def run_epoch(
        self,
        train: tuple[Faces, Labels],
        validation: tuple[Faces, Labels],
        advance: Callable[[int], None] = lambda _: None,
    ) -> Epoch:
        """Train on every face once, then validate the averaged weights; calls `advance(count)`."""
        began = time.perf_counter()
        faces, labels = train
        generator = Generator().manual_seed(self.recipe.seed * 100_003 + self.finished)
        # Layers such as dropout draw from the global generator: tie it to the epoch as well.
        torch.manual_seed(self.recipe.seed * 100_003 + self.finished)
        order = torch.randperm(len(faces), generator=generator).numpy()
        steps = math.ceil(len(faces) / self.recipe.batch_size)
        loss_sum, correct = 0.0, 0
        for step in range(steps):
            rows = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            self._set_learning_rate(self.finished * steps + step, self.recipe.epochs * steps)
            target = torch.from_numpy(labels[rows].astype(np.int64))
            loss, hits = self._step(torch.from_numpy(faces[rows]), target, generator)
            loss_sum += loss * len(rows)
            correct += hits
            advance(len(rows))
        self.finished += 1
        scores = torch.from_numpy(logits(self.average, self.spec, validation[0]))
        truth = torch.from_numpy(validation[1].astype(np.int64))
        answers = scores.argmax(1)
        return Epoch(
            epoch=self.finished,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            train_loss=loss_sum / len(faces),
            train_accuracy=correct / len(faces),
            validation_loss=float(functional.cross_entropy(scores, truth)),
            validation_accuracy=float((answers == truth).float().mean()),
            agreement=self._agreement(answers, validation[0]),
            seconds=time.perf_counter() - began,
        )

    def _agreement(self, answers: Tensor, faces: Faces) -> float | None:
        if self.original is None:
            return None
        expected = torch.from_numpy(logits(self.original, self.spec, faces)).argmax(1)
        return float((answers == expected).float().mean())

    def _step(self, faces: Tensor, target: Tensor, generator: Generator) -> tuple[float, int]:
        self.network.train()
        raw = faces.unsqueeze(1) if self.spec.channels == 1 else faces.permute(0, 3, 1, 2)
        changed = augment(raw.float(), self.recipe.augmentation, generator)
        changed = changed.squeeze(1) if self.spec.channels == 1 else changed.permute(0, 2, 3, 1)
        inputs = normalize(changed, self.spec)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
            scores = self.network(inputs).float()
        loss = self._loss(scores, target, inputs)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._update_average()
        return float(loss.detach()), int((scores.argmax(1) == target).sum())

    def _loss(self, scores: Tensor, target: Tensor, inputs: Tensor) -> Tensor:
        """Cross entropy, mixed with distillation (Hinton et al., 2015) where there is a teacher."""
        recipe = self.recipe
        loss = functional.cross_entropy(scores, target, label_smoothing=recipe.label_smoothing)
        if self.teacher is None:
            return loss
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            taught = self.teacher(inputs).float()
        # T^2 keeps the gradient's size when the temperature changes.
        soft = functional.kl_div(
            (scores / recipe.temperature).log_softmax(1),
            (taught.clone() / recipe.temperature).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        return torch.lerp(loss, soft * recipe.temperature**2, recipe.distillation)

    def _set_learning_rate(self, step: int, total: int) -> None:
        """Linear warm-up, then a cosine to zero over the whole run (Loshchilov & Hutter, 2016)."""
        warmup = max(1, round(total * self.recipe.warmup))
        if step < warmup:
            factor = (step + 1) / warmup
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential moving average of weights and batch-norm statistics.

        The horizon grows with the steps done, so that the first weights leave no trace.
        """
        self.steps += 1
        decay = min(self.recipe.ema_decay, (1 + self.steps) / (10 + self.steps))
        current = self.network.state_dict()
        for name, mean in self.average.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(current[name], 1 - decay)
            else:
                mean.copy_(current[name])


def _channels_last(network: nn.Module) -> nn.Module:
    """Lay the kernels out for channels-last, about 1.6x faster on the CPU for narrow convolutions."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _weight_groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Decay matrices and kernels only: biases and batch norm have nothing to regularize."""
    kernels = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    return [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
