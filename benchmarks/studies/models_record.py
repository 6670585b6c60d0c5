"""The record of all networks: what `models.py` measures, as its document reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fer_bench.record.environment import Environment
from fer_bench.record.record import AnswerParity
from fer_bench.record.statistics import Ratio
from studies.subgroups import Share, Subgroup


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
class Unseen:
    """The answers to faces of the split that Training does not hold too, pixel for pixel."""

    labels: Share
    majority: Share | None


@dataclass(frozen=True, slots=True)
class CalibrationErrors:
    """Expected calibration errors of the PyTorch network, with and without the spec's temperature.

    Against the labels, and against FER+'s votes, None without these.
    """

    temperature: float
    labels_before: float
    labels: float
    votes_before: float | None
    votes: float | None


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """One network; `answers`, `speed` and `single` are by the contender's name, `bytes` by precision.

    `speed` is at the record's batch, `single` at batch 1. `unseen` are the answers of the PyTorch network to
    the faces that do not stand in Training as well. `subgroups` are by precision. Earlier records have none
    of what has a default.
    """

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
    single: dict[str, NetworkSpeed] = field(default_factory=dict)
    unseen: Unseen | None = None
    calibration: CalibrationErrors | None = None
    subgroups: dict[str, tuple[Subgroup, ...]] = field(default_factory=dict)


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
