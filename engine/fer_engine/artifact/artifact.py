"""An artifact: the folder that `fer-export` writes, with its manifest, opened once."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from fer_engine import exporter
from fer_engine.artifact.files import read_verified
from fer_engine.artifact.graph_check import check_graph
from fer_engine.artifact.manifest import Gate, Manifest, ModelFile
from fer_engine.artifact.plan import PlanFolder
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError
from fer_engine.system.cache import cache_folder

PACKAGE = Path(__file__).resolve().parents[1]  # whose folders hold what was installed, and nothing else
# The names of the layout; paths are asked of an `Artifact`.
MANIFEST_NAME = "manifest.json"
GRAPH_NAMES = {
    "fp32": "model.onnx",
    "fp16": "model.fp16.onnx",
    "int8": "model.int8.onnx",
    "int8-cpu": "model.int8-cpu.onnx",
}
CALIBRATION_NAME = "calibration.json"
PROBES_NAME = "probes.json"
REPORT_NAME = "report.md"
CHECKPOINT_NAME = "checkpoint"  # folder with what the graphs were made from
WEIGHTS_NAME = "model.safetensors"  # in a checkpoint folder, of a PyTorch network
ONNX_NAME = "model.onnx"  # in a checkpoint folder, of a given ONNX file
SPEC_NAME = "spec.json"  # in a checkpoint folder
ENGINES_NAME = "engines"  # folder with the TensorRT plans


@dataclass(frozen=True, slots=True)
class Artifact:
    """Graphs of one network in several precisions, and what was found out about them.

    `folder` holds the files, `manifest` says which they are. Nothing is read before it is asked for.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Artifact:
        """Read the manifest of an artifact folder.

        Raises:
            ArtifactError: the folder or its manifest is missing, damaged or of another version.
        """
        folder = Path(path)
        manifest = folder / MANIFEST_NAME
        try:
            return cls(folder, Manifest.read(manifest))
        except OSError:
            raise ArtifactError(
                f"{folder} is not an artifact folder: {manifest} cannot be read; make one with "
                f"'{exporter.model_command('mini_xception', folder)}', or name a network that ships, such as "
                "fer_tiny"
            ) from None

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Say whether a folder has a manifest, damaged or not."""
        return (folder / MANIFEST_NAME).exists()

    def write_manifest(self) -> None:
        """Write the manifest into the folder."""
        (self.folder / MANIFEST_NAME).write_text(self.manifest.dumps(), "utf-8")

    @property
    def spec(self) -> ModelSpec:
        """What the network takes and gives."""
        return self.manifest.spec

    @property
    def files(self) -> dict[str, ModelFile]:
        """The graphs that are here, by precision."""
        return self.manifest.files

    def file(self, precision: str) -> ModelFile:
        """Return the entry of one graph, also of one that the gate refused and that was kept.

        Raises:
            ArtifactError: there is no such precision; the text says how to make it.
        """
        if precision not in self.files:
            raise ArtifactError(self._absent(precision))
        return self.files[precision]

    def graph(self, precision: str) -> Path:
        """Return the path of one graph; raises what `file` does."""
        return self.folder / self.file(precision).path

    def read_graph(self, precision: str) -> bytes:
        """Return the bytes of one graph, once their hash is found right and they name no other file.

        Raises:
            ArtifactError: there is no such precision, the file is missing or changed, is not whole by itself,
                or was made for another spec.
        """
        entry = self.file(precision)
        what = "the file that the manifest vouches for"
        path = self.graph(precision)
        content = read_verified(path, entry.sha256, entry.bytes, what, "run fer-export again")
        stated = check_graph(content, str(path))
        if stated is not None and _without_weights(ModelSpec.loads(stated)) != _without_weights(self.spec):
            raise ArtifactError(
                f"{path} was exported with another spec than that of {MANIFEST_NAME}; run fer-export again"
            )
        return content

    @property
    def gate(self) -> Gate:
        """Which precisions the export found worth using."""
        return self.manifest.gate

    def accepted(self) -> tuple[str, ...]:
        """Return the precisions here that the gate accepted; float32 needs no verdict."""
        refused = self.gate.refusals()
        judged = {"fp32", *self.gate.verdicts}
        return tuple(name for name in self.files if name in judged and name not in refused)

    @property
    def plans(self) -> PlanFolder:
        """The TensorRT plans."""
        return PlanFolder(self.folder / ENGINES_NAME)

    @property
    def calibration(self) -> Path:
        """The ranges of INT8; not there without it."""
        return self.folder / CALIBRATION_NAME

    @property
    def probes(self) -> Path:
        """The speeds that were measured at earlier loads; not there before the first.

        They are in the folder, but for an artifact of this package: in the user's cache.

        Raises:
            FerError: there is no cache.
        """
        if not self.folder.resolve().is_relative_to(PACKAGE):
            return self.folder / PROBES_NAME
        return cache_folder() / "probes" / f"{self.spec.name}-{self.spec.checkpoint_sha256[:12]}.json"

    @property
    def report(self) -> Path:
        """The manifest in words."""
        return self.folder / REPORT_NAME

    @property
    def checkpoint(self) -> Path:
        """The folder with what the graphs were made from."""
        return self.folder / CHECKPOINT_NAME

    @property
    def weights(self) -> Path:
        """The weights of the PyTorch network; not there where the graphs come from an ONNX file."""
        return self.checkpoint / WEIGHTS_NAME

    @property
    def given_onnx(self) -> Path:
        """The ONNX file that the graphs come from; not there where that was a PyTorch network."""
        return self.checkpoint / ONNX_NAME

    @property
    def checkpoint_spec(self) -> Path:
        """The spec of what the graphs were made from."""
        return self.checkpoint / SPEC_NAME

    @property
    def is_from_onnx(self) -> bool:
        """Whether the graphs were made from a given ONNX file, not from a PyTorch network."""
        return self.manifest.made.checkpoint.outputs is not None

    def _absent(self, precision: str) -> str:
        absent = f"{self.folder} holds no {precision!r} graph"
        reason = self.gate.refusals().get(precision)
        if reason is not None:
            command = exporter.precision_command(self, precision, force=True)
            return f"{absent}, the gate refused it: {reason}; keep it all the same with '{command}'"
        there = f"{absent}, it has {', '.join(self.files) or 'none'}"
        if precision not in exporter.PRECISION_OPTIONS:
            return there
        return f"{there}; make it with '{exporter.precision_command(self, precision)}'"


def _without_weights(spec: ModelSpec) -> ModelSpec:
    """Return a spec without the hash of the weights, which training for INT8 changes."""
    return dataclasses.replace(spec, checkpoint_sha256="")
