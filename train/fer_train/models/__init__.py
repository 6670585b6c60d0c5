"""The networks that fer-engine knows, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from fer_engine.errors import ConfigError
from fer_engine.spec import ModelSpec
from fer_train.models.fer_teacher import FerTeacher
from fer_train.models.mini_xception import MiniXception


@dataclass(frozen=True, slots=True)
class Entry:
    """A network of the registry: how to build it for a spec, its default spec, its source."""

    build: Callable[[ModelSpec], nn.Module]
    spec: ModelSpec
    source: str


MODELS: dict[str, Entry] = {
    "fer_teacher": Entry(
        build=lambda spec: FerTeacher(len(spec.labels), spec.channels),
        spec=ModelSpec("fer_teacher"),
        source="fer-engine's own, a teacher for distillation",
    ),
    "mini_xception": Entry(
        build=lambda spec: MiniXception(len(spec.labels), spec.channels),
        spec=ModelSpec("mini_xception"),
        source="Arriaga et al. 2017, Real-time CNNs for Emotion and Gender Classification",
    ),
}


def find(name: str) -> Entry:
    """Return the registry's entry for `name`.

    Raises:
        ConfigError: there is no such network.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise ConfigError(f"unknown model {name!r}; known: {', '.join(sorted(MODELS))}") from None
