"""The record of all networks: what `models.py` measures, as its document reads it."""

from __future__ import annotations

from dataclasses import dataclass

from fer_bench.record.environment import Environment
from fer_bench.record.record import AnswerParity
from fer_bench.record.statistics import Ratio


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The last stage of a recipe; `best` and `last` are shares of right answers."""

    seed: int
    epochs: int
    finished: int
    best_epoch: int
    best: float
    last: float
    seconds: float
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkSpeed:
    """A contender's throughput, one a round; `ratio` is to the yardstick in the same setting."""

    images_per_second: tuple[float, ...]
    median: float
    ratio: Ratio | None


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """One network; `answers` and `speed` are by the contender's name, `bytes` by precision."""

    model: str
    source: str
    parameters: int
    multiply_adds: int
    face_shape: tuple[int, ...]
    checkpoint_sha256: str
    bytes: dict[str, int]
    training: TrainingRun | None
    answers: dict[str, AnswerParity]
    speed: dict[str, NetworkSpeed]


@dataclass(frozen=True, slots=True)
class NetworksRecord:
    date: str
    command: str
    environment: Environment
    faces: str
    batch: int
    rounds: int
    seconds: float
    models: tuple[MeasuredNetwork, ...]
