"""The record of one benchmark: complete enough to render every report from it.

The fields are the keys of the JSON file. Unknown keys are refused, except in what a runtime or LoadGen
tells of itself: `RuntimeInfo` and `LoadgenSettings` keep them in `extra`. Keys that earlier records of
format 2 lack have a default.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from fer_bench.contenders.contender import CPU, OVERHEAD, Contender, Skipped
from fer_bench.contenders.reference import PYTORCH, TITLES, Reference
from fer_bench.passes.options import BenchOptions
from fer_bench.record.environment import Environment
from fer_bench.record.machine_limits import Limits
from fer_bench.record.scenario_runs import AccuracyRun, PerformanceRun
from fer_bench.record.statistics import Latency, Ratio
from fer_engine.artifact.schema import SchemaError
from fer_engine.artifact.spec import ModelSpec
from fer_export.verify import parity
from fer_export.verify.votes import VotedAccuracy

OPENVINO_TYPES = {"f32": "fp32", "f16": "fp16"}  # as it calls the types that it settled on
OTHER_NETWORK = "its own"  # the precision of a peer with a network of its own, in earlier records


@dataclass(frozen=True, slots=True)
class GraphFile:
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MeasuredArtifact:
    """The artifact; `files` are by precision.

    `refused` has the precisions that the export did not accept, with the reason; `failing` the pairs
    (backend, precision) whose answers are too far off. Earlier records have no `spec`.
    """

    path: str
    model: str
    labels: tuple[str, ...]
    checkpoint_sha256: str
    files: dict[str, GraphFile]
    refused: dict[str, str]
    failing: tuple[tuple[str, str], ...]
    spec: ModelSpec | None = None


@dataclass(frozen=True, slots=True)
class MeasuredFaces:
    """The faces; `sha256` is of their bytes in the form that the network takes.

    `votes_sha256` is of the bytes of FER+'s votes for them, None where they have none; votes go with labels.
    """

    description: str
    faces: int
    labelled: bool
    sha256: str
    votes_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.votes_sha256 is not None and not self.labelled:
            raise SchemaError("votes_sha256", "null where the faces have no labels", self.votes_sha256)


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What a contender says of itself once it runs; `extra` keeps what no report reads.

    `threads` is a number, or a word such as "default"; `executed` are layers by precision, as counts or
    shares; `versions` are those of the libraries that an engine uses.
    """

    threads: int | str
    precision: str | None = None
    backend: str | None = None
    micro_batch: int | None = None
    version: str | None = None
    versions: dict[str, str] | None = None
    settings: str | None = None
    source: str | None = None
    executed: dict[str, int | float] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.threads, int) and self.threads < 1:
            raise SchemaError("threads", "at least 1, or a word", str(self.threads))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredContender(Contender):
    """A contender that ran; `bytes` is the size of its graph or weights."""

    bytes: int
    info: RuntimeInfo

    @property
    def number_type(self) -> str:
        """The type that it computes in by its graph: what it says of itself, or was asked for."""
        precision = (self.info.precision or self.precision).partition("-")[0]  # "int8-cpu" is int8 too
        return OPENVINO_TYPES.get(precision, precision)

    @property
    def runs_network_on_cpu(self) -> bool:
        """Whether the CPU does the work of the artifact's network."""
        return self.device == CPU and self.name != OVERHEAD and self.precision != OTHER_NETWORK


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One new process, without the interpreter's own start."""

    import_ns: int
    load_ns: int
    first_call_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process that predicts `faces`; None where the system does not tell."""

    faces: int
    faces_a_call: int
    peak_bytes: int | None
    steady_bytes: int | None


@dataclass(frozen=True, slots=True)
class Startup:
    cold_starts: tuple[ColdStart, ...]
    memory: Memory

    def __post_init__(self) -> None:
        if not self.cold_starts:
            raise SchemaError("cold_starts", "a list of at least one process", "[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledAccuracy(parity.Accuracy):
    """With counts of the answers (columns) to each true class (rows); earlier records have none."""

    confusion: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        if any(count < 0 for row in self.confusion or () for count in row):
            raise SchemaError("confusion", "counts of at least 0", str(self.confusion))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerParity(parity.Parity):
    """With the first of the faces that changed, as (index, reference's answer, contender's answer).

    `voted` is None where the faces have no votes of FER+.
    """

    labelled: LabelledAccuracy | None
    voted: VotedAccuracy | None = None
    flips: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class OwnAccuracy:
    """Accuracy of a network that is not the artifact's, named as in `fer_export.verify.parity.Accuracy`."""

    accuracy: float
    interval: tuple[float, float]
    recall: tuple[float | None, ...]
    ece: float


@dataclass(frozen=True, slots=True)
class Speed:
    """A contender at one batch size: rates and samples by round.

    `ratio` is to the baseline in the same rounds, None for what computes nothing.
    """

    batch: int
    contender: str
    images_per_second: tuple[float, ...]
    latency_ms: Latency
    ratio: Ratio | None
    samples_ns: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.images_per_second or min(self.images_per_second) <= 0:
            raise SchemaError("images_per_second", "rates above 0", str(self.images_per_second))
        if len(self.samples_ns) != len(self.images_per_second) or not all(map(_took_time, self.samples_ns)):
            raise SchemaError("samples_ns", "durations of each round", f"{len(self.samples_ns)} rounds")
        if (self.ratio is None) != (self.contender == OVERHEAD):
            raise SchemaError("ratio", f"there for all but {OVERHEAD!r}", f"{self.ratio} of {self.contender}")

    @property
    def ratio_to_baseline(self) -> Ratio:
        """The ratio of a contender that computes something."""
        assert self.ratio is not None  # noqa: S101 - see the check above
        return self.ratio


@dataclass(frozen=True, slots=True)
class RuntimeSize:
    """Bytes on disk, of each package and of all."""

    packages: dict[str, int]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is known of a record before anything is measured."""

    artifact: MeasuredArtifact
    reference: Reference = PYTORCH
    inputs: MeasuredFaces
    options: BenchOptions
    contenders: tuple[Contender, ...]

    @property
    def reference_title(self) -> str:
        """What a report calls the reference."""
        return TITLES[self.reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Subject):
    """One benchmark. `energy` is joules an image, None where it is not known.

    `other_networks` are peers with a network of their own, which earlier releases measured here.

    Raises:
        SchemaError: parts contradict each other, as where a contender has no speed.
    """

    date: str
    command: str
    seconds: float
    environment: Environment
    contenders: tuple[MeasuredContender, ...]
    skipped: tuple[Skipped, ...]
    startup: dict[str, Startup]
    parity: dict[str, AnswerParity]
    other_networks: dict[str, OwnAccuracy | None] | None = None
    speed: tuple[Speed, ...]
    energy: dict[str, float | None]
    energy_source: str
    gpu_energy: dict[str, float | None] | None = None
    gpu_energy_source: str | None = None
    runtime_sizes: dict[str, RuntimeSize | None]
    limits: Limits | None = None
    scenarios: tuple[PerformanceRun | AccuracyRun, ...] | None = None

    def __post_init__(self) -> None:
        names = [contender.name for contender in self.contenders]
        working = {*names} - {OVERHEAD}
        _check_names("contenders", names, {*names, OVERHEAD, self.reference})
        _check_names("startup", [*self.startup], names)
        _check_names("parity and other_networks", [*self.parity, *(self.other_networks or ())], working)
        for batch in self.options.batches:
            speeds = self.speed_at(batch)
            _check_names(f"speed at batch {batch}", [speed.contender for speed in speeds], names)
            if len({len(speed.samples_ns) for speed in speeds}) > 1:
                raise SchemaError("speed", "of the same rounds for every contender", f"others at {batch}")
        for name, found in self.parity.items():
            self._check_answers(f"parity.{name}", found)
        if self.limits is not None:
            for contender in self.contenders:
                if contender.runs_network_on_cpu:
                    _check_known("the precision of limits", contender.number_type, self.limits.model.bytes)
            for name in self.limits.operators:
                _check_known("limits.operators", name, names)
        for run in self.scenarios or ():
            _check_known("scenarios", run.contender, working)

    def _check_answers(self, path: str, found: AnswerParity) -> None:
        classes, labelled = len(self.artifact.labels), found.labelled
        for index, was, now in found.flips:
            if not 0 <= index < self.inputs.faces or not 0 <= min(was, now) <= max(was, now) < classes:
                raise SchemaError(f"{path}.flips", "a face and two classes each", str([index, was, now]))
        if (labelled is not None) != self.inputs.labelled:
            raise SchemaError(
                f"{path}.labelled", "null where the faces have no labels, else an object", "other"
            )
        if labelled is not None:
            _check_classes(f"{path}.labelled", labelled, labelled.confusion, classes)
        self._check_votes(f"{path}.voted", found.voted)

    def _check_votes(self, path: str, found: VotedAccuracy | None) -> None:
        if (found is not None) != (self.inputs.votes_sha256 is not None):
            raise SchemaError(path, "null where the faces have no votes, else an object", "other")
        if found is None:
            return
        _check_classes(path, found, found.confusion, len(self.artifact.labels))
        counts = [count for row in found.confusion for count in row]
        if min(counts) < 0 or sum(counts) != found.faces:
            raise SchemaError(f"{path}.confusion", f"counts of {found.faces} faces", str(found.confusion))
        if found.split_faces < 0 or not 1 <= found.faces <= self.inputs.faces - found.split_faces:
            shares = f"{found.faces} and {found.split_faces}"
            raise SchemaError(f"{path}.faces", f"with split_faces at most {self.inputs.faces}", shares)
        for name, changed, faces in (
            ("changed_clear", found.changed_clear, found.faces),
            ("changed_split", found.changed_split, found.split_faces),
        ):
            if not 0 <= changed <= faces:
                raise SchemaError(f"{path}.{name}", f"0 to {faces}", str(changed))

    def contender(self, name: str) -> MeasuredContender:
        return next(contender for contender in self.contenders if contender.name == name)

    def speed_at(self, batch: int) -> list[Speed]:
        """Return the speeds at one batch size, one a contender."""
        return [speed for speed in self.speed if speed.batch == batch]


def _took_time(turn: tuple[int, ...]) -> bool:
    return bool(turn) and min(turn) >= 0 and sum(turn) > 0


def _check_classes(
    path: str, found: parity.Accuracy, confusion: Sequence[Sequence[int]] | None, classes: int
) -> None:
    rows = [found.recall, found.recall_difference, *(confusion or ())]
    lengths = {*map(len, rows), len(found.recall if confusion is None else confusion)}
    if lengths != {classes}:
        raise SchemaError(path, f"of {classes} classes", f"lengths {sorted(lengths)}")


def _check_names(path: str, got: list[str], expected: Collection[str]) -> None:
    if sorted(got) != sorted(expected):
        raise SchemaError(path, f"of {', '.join(sorted(expected))}", ", ".join(sorted(got)) or "none")


def _check_known(path: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise SchemaError(path, f"of {', '.join(sorted(known))}", name)
