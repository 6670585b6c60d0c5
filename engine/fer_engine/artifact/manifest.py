"""The manifest of an artifact: what is in its folder, how it was made and how good it was found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from fer_engine.artifact.spec import FORMAT_VERSION, ModelSpec
from fer_engine.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One graph of an artifact; `path` is relative to the folder."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact holds.

    `files` maps a precision ("fp32", "fp16", "int8") to its graph; `made` says how it was made
    (versions, checkpoint, calibration); `verification` maps a precision to what was measured.
    `gate` holds what decided whether a precision is worth using: the "machine" it was measured on
    (`fer_engine.system.cpu.key`), the "thresholds", and "verdicts", which map a precision to "accepted",
    "reason" and the measurements.
    """

    spec: ModelSpec
    files: dict[str, ModelFile]
    made: dict[str, Any] = field(default_factory=dict)
    verification: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)

    def dumps(self) -> str:
        """Return the JSON text of the file."""
        files = {
            precision: {"path": file.path, "sha256": file.sha256, "bytes": file.bytes}
            for precision, file in self.files.items()
        }
        data = {
            "format_version": FORMAT_VERSION,
            "spec": self.spec.to_json(),
            "files": files,
            "made": self.made,
            "verification": self.verification,
            "gate": self.gate,
        }
        return json.dumps(data, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            ArtifactError: it is damaged or of another version.
            OSError: the file cannot be read.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path} is damaged ({error}); run fer-export again") from None
        version = data.get("format_version") if isinstance(data, dict) else None
        if version != FORMAT_VERSION:
            raise ArtifactError(
                f"{path} has format version {version!r}, this release reads {FORMAT_VERSION}; "
                "run fer-export again with this release"
            )
        try:
            files = {precision: _file(entry) for precision, entry in data["files"].items()}
            spec, made, verification = data["spec"], _made(data["made"]), data["verification"]
            gate = _gate(data.get("gate", {}))  # older artifacts have none
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise ArtifactError(
                f"{path} is damaged: missing or wrong {error}; run fer-export again"
            ) from None
        return cls(ModelSpec.from_json(spec), files, made, verification, gate)


def _made(made: Any) -> dict[str, Any]:
    """Return `made` once it is found to be an account of what the export started from."""
    if not isinstance(made, dict) or not isinstance(made.get("checkpoint", {}), dict):
        raise TypeError("account of how it was made")
    return made


def _gate(gate: Any) -> dict[str, Any]:
    """Return `gate` once its verdicts are found to be some."""
    for verdict in gate.get("verdicts", {}).values():
        if not isinstance(verdict["accepted"], bool) or not isinstance(verdict["reason"], str):
            raise TypeError("verdict of the gate")
        trials, passing = verdict.get("trials", {}), verdict.get("passing", [])
        if not isinstance(trials, dict) or not isinstance(passing, list):
            raise TypeError("trials of the gate")
        if not all(isinstance(backend, str) for backend in passing):
            raise TypeError("trials of the gate")
    return gate


def _file(entry: dict[str, Any]) -> ModelFile:
    path = PureWindowsPath(str(entry["path"]))  # knows both separators and drives, on every system
    if path.anchor or ".." in path.parts:
        raise ArtifactError(f"manifest names {path}, a path outside its folder: do not load this artifact")
    return ModelFile(path.as_posix(), str(entry["sha256"]), int(entry["bytes"]))
