"""The options of a measurement."""

from __future__ import annotations

from dataclasses import dataclass, field

from fer_bench.contenders.sweep import Sweep
from fer_bench.passes.loadgen.scenario_options import ScenarioOptions
from fer_engine.backends.cuda.devices import CUDA
from fer_engine.errors import ConfigError

PROCESS_SECONDS = 1.5  # to start one and load: half a second for the engine, several for PyTorch
PROBES_SECONDS = 12.0  # of the machine; half of it is the import of PyTorch


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How long and how often to measure.

    A round gives every contender one turn, in an order drawn anew; a turn lasts `seconds` or
    `calls` calls, whichever ends first, after `warmup_calls` that are not counted.
    """

    batches: tuple[int, ...] = (64,)
    sweep: Sweep = field(default_factory=Sweep)
    rounds: int = 9  # an odd number has a middle one; fewer leave the interval of the median wide
    seconds: float = 0.4
    calls: int = 2_000  # keeps the record small where a call takes microseconds
    warmup_calls: int = 3  # wakes the threads and refills the caches after the others' turns
    warmup_seconds: float = 0.5  # once, before the first round: clocks, allocators, lazy kernels
    cold_starts: int = 3
    memory_faces: int = 10_000
    profile: bool = False  # whether to measure the machine's limits and each operator's time too
    scenarios: ScenarioOptions | None = None
    device: str = "cpu"  # of the engine; the others run on the CPU
    busy: int = 0  # processes that each keep a core busy during the rounds
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.batches:
            raise ConfigError("no batch size was given, expected at least one, as in --batch 1,64")
        for batch in self.batches:
            _check_whole("batch", batch, 1)
        for name in ("rounds", "calls", "cold_starts", "memory_faces"):
            _check_whole(name, getattr(self, name), 1)
        for name in ("warmup_calls", "busy", "seed"):
            _check_whole(name, getattr(self, name), 0)
        for name in ("seconds", "warmup_seconds"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"{name} must be a number above 0, got {value!r}")
        if self.device != "cpu" and not CUDA.fullmatch(self.device):
            raise ConfigError(f"--device must be cpu, cuda, or another GPU as cuda:1, got {self.device!r}")
        for micro_batch in self.sweep.micro_batches:
            if micro_batch > max(self.batches):
                raise ConfigError(
                    f"--micro-batch {micro_batch} would never be filled by batches of up to "
                    f"{max(self.batches)} faces; give a smaller one, or a larger --batch"
                )

    def expected_seconds(self, contenders: int) -> float:
        """Return about how long this takes where no call is longer than a turn."""
        rounds = len(self.batches) * (self.warmup_seconds + self.rounds * self.seconds)
        profile = PROBES_SECONDS + contenders * PROCESS_SECONDS if self.profile else 0.0
        played = len(self.scenarios.scenarios) * self.scenarios.seconds if self.scenarios else 0.0
        return contenders * (rounds + played + (self.cold_starts + 1) * PROCESS_SECONDS) + profile


def _check_whole(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ConfigError(f"{name} must be a whole number of at least {least}, got {value!r}")
