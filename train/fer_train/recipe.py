"""How a network is trained: every number that shapes the result, with its reason; free of PyTorch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from fer_engine.errors import ConfigError

LOSSES = ("mse", "ccc")  # of regressions
VOTE_TARGETS = ("distribution", "majority")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a face may be changed; every value is drawn uniformly and anew for each image."""

    rotation: float = 12.0  # degrees to either side: heads tilt, and crops are rarely level
    shift: float = 0.08  # of the side: the boxes of detectors wander about as much
    zoom: float = 0.12  # to either side of 1
    flip: float = 0.5  # probability; expressions are symmetric enough
    brightness: float = 0.15  # of the full range, to either side
    contrast: float = 0.25  # to either side of 1
    erase: float = 0.2  # probability of one gray rectangle, up to a third of each side
    noise: float = 0.015  # largest standard deviation, of the full range

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            most = LARGEST.get(name, 1.0)
            if not 0 <= value <= most:
                raise ConfigError(f"{name} must be in [0, {most:g}], got {value}")


LARGEST = {"rotation": 180.0, "zoom": 0.9}  # of the others 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """Options of one training run; two runs of one recipe on one machine give the same weights."""

    epochs: int = 150
    batch_size: int = 128  # at 64 the result is the same and an epoch is slower
    learning_rate: float = 4e-3  # peak; batch norm allows a high one for so small a net
    weight_decay: float = 0.02
    warmup: float = 0.05  # share of all steps, linear; then one cosine down to zero
    label_smoothing: float = 0.05  # FER2013's labels agree with people only about 65 % of the time
    ema_decay: float = 0.998  # an average over about two epochs; this average is what ships
    patience: int = 0  # epochs without a better validation accuracy before it stops; 0: never
    seed: int = 0
    distillation: float = 0.7  # weight of the teacher's outputs against the labels, where there is a teacher
    temperature: float = 2.0  # softens both logits, so that the wrong classes count too
    teacher_mirror: bool = False  # average the teacher over each face and its mirror image: twice its work
    teacher_once: bool = False  # ask it once, about each face as it is, not about each changed one: faster
    mixup: float = 0.0  # of Beta(mixup, mixup), the share of a second face in each; 0: none
    vote_weight: float = 1.0  # of FER+'s votes against the original label, where the data has votes
    vote_target: str = "distribution"  # what the votes stand for; "majority": all for the label that has it
    hold_out: float = 0.0  # share of Training that trains nothing: the temperature is fitted on it at the end
    loss: str | None = None  # of a regression: "mse", the default, or "ccc"
    stop: int = 0  # epoch to stop after, on the way that `epochs` lays out; 0: go to the end
    bf16: bool = False  # autocast: about a quarter faster on CPUs with AMX or AVX-512 BF16
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for names, fits, expected in LIMITS:
            for name in names:
                if not fits(getattr(self, name)):
                    raise ConfigError(f"{name} must be {expected}, got {getattr(self, name)}")
        if self.vote_target not in VOTE_TARGETS:
            raise ConfigError(
                f"vote_target must be one of {', '.join(VOTE_TARGETS)}, got {self.vote_target!r}"
            )
        if self.loss not in (None, *LOSSES):
            raise ConfigError(f"loss must be one of {', '.join(LOSSES)}, got {self.loss!r}")


LIMITS: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("epochs", "batch_size"), lambda value: value >= 1, "at least 1"),
    (("weight_decay", "patience", "mixup", "stop"), lambda value: 0 <= value < math.inf, "0 or more"),
    (("learning_rate", "temperature"), lambda value: 0 < value < math.inf, "positive"),
    (("seed",), lambda value: 0 <= value < 2**32, "in [0, 2^32)"),
    (("distillation", "vote_weight"), lambda value: 0 <= value <= 1, "in [0, 1]"),
    (("warmup", "label_smoothing", "ema_decay", "hold_out"), lambda value: 0 <= value < 1, "in [0, 1)"),
)


# The defaults of quantization-aware training, which mends a finished network in small steps.
QAT = Recipe(
    epochs=5,
    learning_rate=5e-5,  # at four times that, an epoch ended no closer to the float network
    weight_decay=0.0,  # the float run did the regularizing
    label_smoothing=0.0,
    ema_decay=0.99,  # an average over less than an epoch: there are few
    distillation=1.0,  # the float network's answers are what to keep; it has learned the labels already
    temperature=1.0,  # its probabilities as they are
    # Nearly as the faces come: it is their answers that have to stay the same.
    augmentation=Augmentation(
        rotation=0.0, shift=0.0, zoom=0.0, brightness=0.0, contrast=0.0, erase=0.0, noise=0.0
    ),
)
