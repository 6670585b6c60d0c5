"""The manifest of an artifact folder: what is in it, and whether it still is."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from fer_engine.artifact.files import read_verified
from fer_engine.artifact.spec import FORMAT_VERSION, ModelSpec
from fer_engine.errors import ArtifactError

MANIFEST_NAME = "manifest.json"
MADE = ("fp16", "int8", "int8-cpu")  # what fer-export makes if it is asked to


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
        """Return the JSON text of `manifest.json`."""
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
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of an artifact folder.

        Raises:
            ArtifactError: the folder or its manifest is missing, damaged or of another version.
        """
        path = folder / MANIFEST_NAME
        try:
            data = json.loads(path.read_text("utf-8"))
        except OSError:
            raise ArtifactError(
                f"{folder} is not an artifact folder: {path} cannot be read; make one with "
                f"'fer-export --model mini_xception --output {folder}'"
            ) from None
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

    def accepted(self) -> tuple[str, ...]:
        """Return the precisions here that the gate accepted; float32 needs no verdict."""
        unmeasured = {"fp32": {"accepted": True}}
        verdicts = unmeasured | self.gate.get("verdicts", {})
        return tuple(name for name in self.files if name in verdicts and verdicts[name]["accepted"])

    def file(self, folder: Path, precision: str) -> ModelFile:
        """Return the entry of one graph of the artifact in `folder`; a refused one that was kept too.

        Raises:
            ArtifactError: there is no such precision; the text says how to make it.
        """
        if precision not in self.files:
            raise ArtifactError(self._absent(folder, precision))
        return self.files[precision]

    def read_model(self, folder: Path, precision: str) -> bytes:
        """Return the bytes of one graph, once their hash is found right.

        Raises:
            ArtifactError: there is no such precision, or the file is missing or changed.
        """
        entry = self.file(folder, precision)
        what = "the file that the manifest vouches for"
        return read_verified(folder / entry.path, entry.sha256, entry.bytes, what, "run fer-export again")

    def _absent(self, folder: Path, precision: str) -> str:
        option = precision.partition("-")[0]  # "int8-cpu" comes with --int8
        export = f"fer-export {shlex.join(self._arguments(folder))} --{option}"
        output = shlex.quote(str(folder))
        verdict = self.gate.get("verdicts", {}).get(precision)
        if verdict is not None and not verdict["accepted"]:
            return (
                f"{folder} holds no {precision!r} graph, the gate refused it: {verdict['reason']}; "
                f"keep it all the same with '{export} --force --output {output}'"
            )
        made = f"; make it with '{export} --output {output}'" if precision in MADE else ""
        return f"{folder} holds no {precision!r} graph, it has {', '.join(self.files) or 'none'}{made}"

    def _arguments(self, folder: Path) -> list[str]:
        """Return what makes fer-export start from this very network, which `folder` keeps."""
        source = self.made.get("checkpoint", {})
        kept = folder / "checkpoint"
        weights, spec = str(kept / "model.safetensors"), str(kept / "spec.json")
        if "module" in source:
            return ["--module", str(source["module"]), "--checkpoint", weights, "--spec", spec]
        if "outputs" in source:
            return ["--onnx", str(kept / "model.onnx"), "--outputs", str(source["outputs"]), "--spec", spec]
        shipped = source.get("path", "shipped") == "shipped"
        return ["--model", self.spec.name, *(() if shipped else ("--checkpoint", str(kept)))]


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
