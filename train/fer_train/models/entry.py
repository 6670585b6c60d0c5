"""An entry of the registry of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from fer_engine.artifact.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Entry:
    """A network: how to build it for a spec, its default spec, its source and its size with that spec.

    `parameters` counts the trained values, `multiply_adds` those of convolutions and linear layers for
    one face.
    """

    build: Callable[[ModelSpec], nn.Module]
    spec: ModelSpec
    source: str
    parameters: int
    multiply_adds: int
