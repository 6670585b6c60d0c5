"""The training loop: one epoch after another, each resumable to the bit."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_engine.vision.resize import fit
from fer_train import objective
from fer_train.augment import augment
from fer_train.recipe import Recipe

Faces = NDArray[np.uint8]
BATCH = 256  # faces at once where nothing is learned
Labels = NDArray[Any]  # classes, integer [n], or values, float [n, k]


@dataclass(slots=True)
class Epoch:
    """What one epoch gave; `seconds` is its wall time, validation included.

    `measures` are those of the objective, on the training faces as they were changed and on the
    validation faces; in quantization-aware training also the agreement with the float network. The best
    epoch has the highest `score`.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    seconds: float
    score: float
    measures: objective.Measures


def normalize(faces: Tensor, spec: ModelSpec) -> Tensor:
    """Map raw gray levels [n, h, w] or [n, h, w, c] to what the network takes, [n, c, h, w]."""
    pixels = faces.float()  # first: nothing but a cast takes uint8 in TensorRT
    # Contiguous, as datasets give it: a network may call view().
    pixels = pixels.unsqueeze(1) if spec.channels == 1 else pixels.permute(0, 3, 1, 2).contiguous()
    mean, scale = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.scale))
    return (pixels - mean) / scale


class WithTemperature(nn.Module):
    """A classifier whose logits are divided by a temperature, for converters that take a whole network."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, faces: Tensor) -> Tensor:
        logits: Tensor = self.network(faces)
        return logits / self.temperature


@torch.inference_mode()
def logits(network: nn.Module, spec: ModelSpec, faces: Faces) -> NDArray[np.float32]:
    """Run `network` in evaluation mode on raw faces; float32 [n, labels], divided by the spec's temperature.

    Faces of another size or colour than the spec's are made to fit; see `fer_engine.vision.resize.fit`.
    """
    network.eval()
    parts = []
    for start in range(0, len(faces), BATCH):
        batch = np.ascontiguousarray(fit(faces[start : start + BATCH], spec))
        parts.append(network(normalize(torch.from_numpy(batch), spec)) / spec.temperature)
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
        teachers: Sequence[nn.Module] = (),
        original: nn.Module | None = None,  # whose answers the network should keep
    ) -> None:
        self.network = _channels_last(network)
        self.average = copy.deepcopy(self.network)
        self.teachers = [_channels_last(teacher).eval() for teacher in teachers]
        self.original = _channels_last(original).eval() if original else None
        self.spec = spec
        self.recipe = recipe
        self.objective = objective.find_objective(spec, recipe)
        self.optimizer = torch.optim.AdamW(
            _weight_groups(self.network, recipe.weight_decay), lr=recipe.learning_rate
        )
        self.finished = 0  # epochs
        self.steps = 0
        self._said: Tensor | None = None  # by the teachers of every training face, with `teacher_once`

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
        majority: Labels | None = None,
    ) -> Epoch:
        """Train on every face once, then validate the averaged weights; calls `advance(count)`.

        `majority` are the validation faces' labels by FER+'s votes, -1 where there is none: then the measures
        have `validation_ferplus_accuracy`, and the score is the mean of both accuracies, each with the
        recipe's weight.
        """
        began = time.perf_counter()
        faces, labels = train
        generator = Generator().manual_seed(self.recipe.seed * 100_003 + self.finished)
        # Dropout and mixup draw from the global generator: tie it to the epoch as well.
        torch.manual_seed(self.recipe.seed * 100_003 + self.finished)
        order = torch.randperm(len(faces), generator=generator).numpy()
        steps = math.ceil(len(faces) / self.recipe.batch_size)
        loss_sum = 0.0
        outputs = []
        for step in range(steps):
            rows = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            self._set_learning_rate(self.finished * steps + step, self.recipe.epochs * steps)
            batch = torch.from_numpy(fit(faces[rows], self.spec))
            said = self._teach_once(faces)[rows] if self.recipe.teacher_once and self.teachers else None
            loss, given = self._step(batch, self.objective.target(labels[rows]), generator, said)
            loss_sum += loss * len(rows)
            outputs.append(given)
            advance(len(rows))
        self.finished += 1
        measured = self.objective.measures(torch.cat(outputs), self.objective.target(labels[order]))
        measures = {f"train_{name}": value for name, value in measured.items()}
        return self._validate(validation, majority, loss_sum / len(faces), measures, began)

    def _validate(
        self,
        validation: tuple[Faces, Labels],
        majority: Labels | None,
        train_loss: float,
        measures: objective.Measures,
        began: float,
    ) -> Epoch:
        faces, labels = validation
        outputs = torch.from_numpy(logits(self.average, self.spec, faces))
        target = self.objective.target(labels)
        measured = self.objective.measures(outputs, target)
        measures |= {f"validation_{name}": value for name, value in measured.items()}
        score = self.objective.score(measured)
        if majority is not None:
            clear = majority >= 0
            voted = self.objective.measures(outputs[clear], self.objective.target(majority[clear]))
            measures["validation_ferplus_accuracy"] = voted["accuracy"]
            weight = self.recipe.vote_weight
            score = (1 - weight) * score + weight * voted["accuracy"]
        if self.original is not None:
            expected = torch.from_numpy(logits(self.original, self.spec, faces))
            score = measures["agreement"] = self.objective.agreement(outputs, expected)
        return Epoch(
            epoch=self.finished,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            train_loss=train_loss,
            validation_loss=float(self.objective.error(outputs, target)),
            seconds=time.perf_counter() - began,
            score=score,
            measures=measures,
        )

    def _step(
        self, faces: Tensor, target: Tensor, generator: Generator, said: Tensor | None
    ) -> tuple[float, Tensor]:
        """Change the weights by one batch; return its loss and the network's outputs.

        `said` is what the teachers say of the faces as they are; None asks them about the changed ones.
        """
        self.network.train()
        raw = faces.unsqueeze(1) if self.spec.channels == 1 else faces.permute(0, 3, 1, 2)
        changed = augment(raw.float(), self.recipe.augmentation, generator)
        changed = changed.squeeze(1) if self.spec.channels == 1 else changed.permute(0, 2, 3, 1)
        inputs = normalize(changed, self.spec)
        share, partner = self._partners(len(inputs), generator)
        if share < 1:
            inputs = torch.lerp(inputs[partner], inputs, share)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
            outputs = self.network(inputs).float()
        loss = self.objective.loss(outputs, target)
        if share < 1:
            loss = torch.lerp(self.objective.loss(outputs, target[partner]), loss, share)
        if self.teachers:
            taught = self._teacher_logits(inputs) if said is None else said
            distilled = self.objective.distillation_loss(outputs, taught)
            if said is not None and share < 1:
                other = self.objective.distillation_loss(outputs, said[partner])
                distilled = torch.lerp(other, distilled, share)
            loss = torch.lerp(loss, distilled, self.recipe.distillation)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._update_average()
        return float(loss.detach()), outputs.detach()

    def _partners(self, count: int, generator: Generator) -> tuple[float, Tensor]:
        """Draw a mixup (Zhang et al., 2018): the share that each face keeps, and what the rest comes from.

        It is the larger one: with a partner drawn from the same faces the mixtures are the same, and the
        face whose label measures the training accuracy is the one that prevails.
        """
        alpha = self.recipe.mixup
        if not alpha:
            return 1.0, torch.arange(count)
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        return max(share, 1 - share), torch.randperm(count, generator=generator)

    @torch.no_grad()
    def _teacher_logits(self, inputs: Tensor) -> Tensor:
        """Return what the teachers say together, with `teacher_mirror` also of the mirror images."""
        views = (inputs, inputs.flip(3)) if self.recipe.teacher_mirror else (inputs,)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
            outputs = [teacher(view).float() for teacher in self.teachers for view in views]
        return self.objective.ensemble(torch.stack(outputs))

    def _teach_once(self, faces: Faces) -> Tensor:
        """Return what the teachers say of every face as it is; they are asked in the first epoch."""
        if self._said is None:
            parts = []
            for start in range(0, len(faces), BATCH):
                batch = np.ascontiguousarray(fit(faces[start : start + BATCH], self.spec))
                parts.append(self._teacher_logits(normalize(torch.from_numpy(batch), self.spec)))
            self._said = torch.cat(parts)
        return self._said

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
