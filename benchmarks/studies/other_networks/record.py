"""The record of the packages' networks and of this project's, measured in the same rounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fer_bench.contenders.contender import BASELINE, Skipped
from fer_bench.record.environment import Environment
from fer_bench.record.record import MeasuredFaces, OwnAccuracy, RuntimeInfo, Startup
from fer_bench.record.record_file import load_json
from fer_engine.artifact.schema import SchemaError, from_json
from fer_engine.errors import FerError
from studies.models_record import NetworkSpeed

COMMAND = "python -m studies.other_networks"  # as errors name it
# Of this project's networks, those without weights of their own have ones drawn at random: "untrained".
Kind = Literal["baseline", "shipped", "untrained", "package"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityAccuracy(OwnAccuracy):
    """Against the label that more than half of the annotators gave, on the `faces` that have one."""

    faces: int


@dataclass(frozen=True, slots=True)
class MeasuredPeerNetwork:
    """One network; `speed` is by batch size, `joules` are an image's, None where they are not known.

    `accuracy` is against FER2013's labels and `majority` against FER+'s votes; both are of packages alone,
    and None where the faces have no labels, or no votes.
    """

    name: str
    kind: Kind
    bytes: int
    info: RuntimeInfo
    startup: Startup
    speed: dict[str, NetworkSpeed]
    joules: float | None
    accuracy: OwnAccuracy | None
    majority: MajorityAccuracy | None

    def milliseconds(self, batch: int) -> float:
        """Return the time of one face in calls of `batch`, by the median of the rounds."""
        return 1000 / self.speed[str(batch)].median


@dataclass(frozen=True, slots=True)
class OtherNetworksRecord:
    """Ratios of speed are to the network called `BASELINE`, in the same rounds."""

    date: str
    command: str
    environment: Environment
    faces: MeasuredFaces
    batches: tuple[int, ...]
    rounds: int
    seconds: float
    networks: tuple[MeasuredPeerNetwork, ...]
    skipped: tuple[Skipped, ...]
    energy_source: str

    def __post_init__(self) -> None:
        names = [network.name for network in self.networks]
        if len(set(names)) < len(names) or BASELINE not in names:
            raise SchemaError("networks", f"of different names, {BASELINE} among them", ", ".join(names))
        for network in self.networks:
            if set(network.speed) != {str(batch) for batch in self.batches}:
                got = ", ".join(network.speed) or "none"
                expected = f"at batch {', '.join(map(str, self.batches))}"
                raise SchemaError(f"speed of {network.name}", expected, got)


def load_record(path: Path) -> OtherNetworksRecord:
    """Read the record.

    Raises:
        FerError: the file cannot be read, or is damaged.
    """
    try:
        return from_json(OtherNetworksRecord, load_json(path, COMMAND))
    except SchemaError as error:
        raise FerError(f"{path} is damaged: {error}; measure again with {COMMAND}") from None
