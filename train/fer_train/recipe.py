"""How a network is trained: every number that shapes the result, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from fer_engine.errors import ConfigError
from fer_train.augment import Augmentation


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
    distillation: float = 0.7  # weight of the teacher's word against the labels', where there is one
    temperature: float = 2.0  # softens both logits, so that the wrong classes count too
    bf16: bool = False  # autocast: about a quarter faster on CPUs with AMX or AVX-512 BF16
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("weight_decay", "patience"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be positive, got {self.temperature}")
        if not 0 <= self.distillation <= 1:
            raise ConfigError(f"distillation must be in [0, 1], got {self.distillation}")
        for name in ("warmup", "label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {getattr(self, name)}")


# The defaults of quantization-aware training, which mends a finished network in small steps.
QAT = Recipe(
    epochs=5,
    learning_rate=5e-5,  # at four times that, an epoch ended no closer to the float network
    weight_decay=0.0,  # the float run did the regularizing
    label_smoothing=0.0,
    ema_decay=0.99,  # an average over less than an epoch: there are few
    distillation=1.0,  # the float network's answers are what to keep; the labels had their say in it
    temperature=1.0,  # its probabilities as they are
    # Nearly as the faces come: it is their answers that have to stay the same.
    augmentation=Augmentation(
        rotation=0.0, shift=0.0, zoom=0.0, brightness=0.0, contrast=0.0, erase=0.0, noise=0.0
    ),
)
