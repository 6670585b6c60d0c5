"""What --profile measured: the machine's limits, the network's needs, and each operator's time."""

from __future__ import annotations

from dataclasses import dataclass

from fer_engine.artifact.schema import SchemaError

NUMBER_TYPES = ("fp32", "fp16", "bf16", "int8")  # that a runtime computes in
Rates = dict[str, float]  # a second, by the number of threads, which JSON writes as text


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """STREAM's rate on arrays of `array_bytes`; `last_cache_bytes` is None where the system does not tell."""

    bytes_per_second: Rates
    array_bytes: int
    last_cache_bytes: int | None

    def __post_init__(self) -> None:
        _check_rates("bytes_per_second", self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class TheoreticalPeak:
    """One core's float32 peak by its clock and the width of its vectors."""

    hertz: float
    multiply_adds_a_cycle: int
    multiply_adds_per_second: float


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """`products` are multiply-adds a second of large matrix products, by "library/precision"."""

    products: dict[str, Rates]
    memory: MemoryLimits
    theoretical: TheoreticalPeak | None

    def __post_init__(self) -> None:
        for name, rates in self.products.items():
            _check_rates(f"products.{name}", rates, self.memory.bytes_per_second)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes in one precision: of the weights, and those that one image moves."""

    weights: int
    activations: int
    faces_and_answers: int

    def __post_init__(self) -> None:
        if min(self.weights, self.activations, self.faces_and_answers) < 0 or self.weights == 0:
            raise SchemaError("", "counts of bytes, weights above 0", str(self))


@dataclass(frozen=True, slots=True)
class NetworkNeeds:
    """Multiply-adds an image, of all and of each layer, and the traffic by precision."""

    multiply_adds: int
    layers: dict[str, int]
    bytes: dict[str, Traffic]

    def __post_init__(self) -> None:
        if self.multiply_adds < 1:
            raise SchemaError("multiply_adds", "at least 1", str(self.multiply_adds))
        if not {*self.bytes} <= {*NUMBER_TYPES}:
            raise SchemaError("bytes", f"of {', '.join(NUMBER_TYPES)}", ", ".join(self.bytes))


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """Median ms of one operator a run; `layer` is the network's layer that it computes, if any."""

    name: str
    type: str
    kernel: str
    ms: float
    layer: str | None = None
    multiply_adds: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """The operators of a contender in runs of `faces` faces; `run_ms` is the median of a whole run.

    `threads` is None for the runtime's own choice.
    """

    faces: int
    threads: int | None
    runs: int
    run_ms: float
    operators: tuple[OperatorTime, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """`operators` are by the contender's name."""

    machine: MachineLimits
    model: NetworkNeeds
    operators: dict[str, Profile]

    def __post_init__(self) -> None:
        products = self.machine.products
        if not any(name.endswith("/fp32") for name in products):  # a limit for every type
            raise SchemaError("machine.products", "an object with a product in fp32", str(sorted(products)))


def _check_rates(path: str, rates: Rates, like: Rates | None = None) -> None:
    counted = rates and all(count.isdecimal() and int(count) > 0 for count in rates)
    if not counted or min(rates.values()) <= 0 or (like is not None and set(rates) != set(like)):
        raise SchemaError(path, "rates above 0 by the same numbers of threads everywhere", str(rates))
