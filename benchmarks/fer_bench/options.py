"""What the benchmark is asked to do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from fer_engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How long and how often to measure.

    A round gives every contender one turn, in an order drawn anew; a turn lasts `seconds` or
    `calls` calls, whichever ends first, after `warmup_calls` that are not counted.
    """

    batches: tuple[int, ...] = (64,)
    rounds: int = 9  # an odd number has a middle one; fewer leave the interval of the median wide
    seconds: float = 0.4
    calls: int = 2_000  # keeps the record small where a call takes microseconds
    warmup_calls: int = 3  # wakes the threads and refills the caches after the others' turns
    warmup_seconds: float = 0.5  # once, before the first round: clocks, allocators, lazy kernels
    cold_starts: int = 3
    memory_faces: int = 10_000
    busy: int = 0  # processes that each keep a core busy during the rounds
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.batches:
            raise ConfigError("no batch size was given, expected at least one, as in --batch 1,64")
        for batch in self.batches:
            _whole("batch", batch, 1)
        for name in ("rounds", "calls", "cold_starts", "memory_faces"):
            _whole(name, getattr(self, name), 1)
        for name in ("warmup_calls", "busy", "seed"):
            _whole(name, getattr(self, name), 0)
        for name in ("seconds", "warmup_seconds"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"{name} must be a number above 0, got {value!r}")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _whole(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ConfigError(f"{name} must be a whole number of at least {least}, got {value!r}")
