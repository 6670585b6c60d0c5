"""The manifest of an artifact: what is in its folder, how it was made and how good it was found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar

from fer_engine.artifact.schema import SchemaError, from_json, parse, to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One graph of an artifact; `path` is relative to the folder."""

    path: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        path = PureWindowsPath(self.path)  # knows both separators and drives, on every system
        if path.anchor or ".." in path.parts:
            raise ArtifactError(
                f"manifest names {path}, a path outside its folder: do not load this artifact"
            )


@dataclass(frozen=True, slots=True)
class Origin:
    """What an export started from.

    `path` is the checkpoint or file as it was given, "shipped" for that of the package. `module` names
    the class of a user's own network, `outputs` says what a given ONNX file gives ("logits" or
    "probabilities"). `extra` has the SHA-256 and what else is of interest to people alone.
    """

    path: str = "shipped"
    module: str | None = None
    outputs: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """How an artifact was made.

    `calibration` says where the ranges of INT8 come from and `int8` how its graph was made; None without
    INT8. `extra` has date, versions and machine, for people alone.
    """

    checkpoint: Origin = field(default_factory=Origin)
    calibration: dict[str, Any] | None = None
    int8: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """How one backend ran one precision.

    `answers` is the share of the reference's accuracy that is left or, without labels, the agreement with
    it; `speed` is in faces per second.
    """

    answers: float
    speed: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a precision is accepted on the machine of the export, and why.

    `trials` holds how every backend ran it, `failures` why others could not, `passing` the
    backends whose answers pass; `backend` is the fastest of these, `speed` its ratio to the best FP32.
    """

    accepted: bool
    reason: str
    trials: dict[str, Trial] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    passing: tuple[str, ...] = ()
    backend: str | None = None
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """Which precisions the export found worth using, and by what measurements.

    `machine` is where it was measured (`fer_engine.system.cpu`), `batch` the faces at once, `answers` what
    was compared ("accuracy" or "agreement"), `thresholds` the limit of each figure; `verdicts` are by
    precision.
    """

    machine: str = ""
    batch: int = 0
    answers: str = ""
    thresholds: dict[str, float] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def refusals(self) -> dict[str, str]:
        """Return the reason for each precision that is refused."""
        return {name: verdict.reason for name, verdict in self.verdicts.items() if not verdict.accepted}

    def failing(self) -> set[tuple[str, str]]:
        """Return the (precision, backend) whose answers are too far from the reference's."""
        return {
            (precision, backend)
            for precision, verdict in self.verdicts.items()
            for backend in set(verdict.trials) - set(verdict.passing)
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact holds.

    `files` maps a precision ("fp32", "fp16", "int8", "int8-cpu") to its graph; `verification` maps it to
    what was measured, for people alone.
    """

    COMPLETE: ClassVar[bool] = True

    spec: ModelSpec
    files: dict[str, ModelFile]
    made: Made = field(default_factory=Made)
    verification: dict[str, Any] = field(default_factory=dict)
    gate: Gate = field(default_factory=Gate)
    format_version: int = FORMAT_VERSION

    def dumps(self) -> str:
        """Return the JSON text of the file."""
        return json.dumps({"format_version": FORMAT_VERSION} | to_json(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            ArtifactError: it is damaged or of another version.
            OSError: the file cannot be read.
        """
        content = path.read_bytes()
        try:
            data = parse(content, FORMAT_VERSION)
            data.setdefault("gate", {})  # artifacts of the first release have none
            return from_json(cls, data)
        except SchemaError as error:
            raise ArtifactError(
                f"{path} is damaged or of another release: {error}; run fer-export again"
            ) from None
