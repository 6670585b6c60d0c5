"""From a checkpoint to an artifact folder, in one step that happens whole or not at all."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from fer_engine import __version__, atomic
from fer_engine.errors import ConfigError
from fer_engine.manifest import MANIFEST_NAME, Manifest, ModelFile
from fer_engine.spec import ModelSpec
from fer_export.calibrate import Calibration, calibrate
from fer_export.fp16 import to_fp16
from fer_export.graph import to_onnx
from fer_export.layers import find_layers
from fer_export.quantize import to_int8
from fer_export.ranges import METHODS
from fer_export.report import render
from fer_export.verify import Samples, verify
from fer_train import checkpoint, progress, synthetic
from fer_train.data import Dataset
from fer_train.loop import logits
from fer_train.models import find
from fer_train.sampling import stratified

CALIBRATION_NAME = "calibration.json"
CALIBRATION_SEED = 0
SYNTHETIC_FACES = 1024
FILE_NAMES = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export, in which precisions, and where to.

    `mean` and `scale` are how a bare state dict was trained (`(pixel - mean) / scale`); a
    checkpoint folder says so itself.
    """

    model: str
    output: Path
    checkpoint: Path | None = None  # default: the one that ships with the package
    fp16: bool = False
    int8: bool = False
    dataset: Dataset | None = None
    calibration_size: int = 512
    calibration_method: str = "mse"
    max_batch: int = 64
    mean: float | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        find(self.model)
        for name in ("calibration_size", "max_batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.calibration_method not in METHODS:
            raise ConfigError(
                f"unknown calibration method {self.calibration_method!r}; known: {', '.join(METHODS)}"
            )


def export_model(options: ExportOptions) -> Path:
    """Export, verify and write an artifact folder; return it.

    Raises:
        FerError: the checkpoint, the data or the output folder cannot be used, or a graph failed
            its verification; an artifact that was there before is left as it was.
    """
    _check_output(options.output)
    network, spec = _load(options)
    with progress.bar("export to ONNX", 1):
        float_graph = to_onnx(network, spec)
    graphs = {"fp32": float_graph}
    if options.fp16:
        graphs["fp16"] = to_fp16(float_graph)
    calibration = None
    if options.int8:
        calibration = _calibration(options, spec, float_graph)
        graphs["int8"] = to_int8(float_graph, calibration.of(options.calibration_method))
    layers = find_layers(float_graph)
    samples = _samples(options.dataset)
    with progress.bar(f"verify on {samples.source}", len(graphs)) as advance:
        reference = logits(network, spec, samples.faces)
        verification: dict[str, Any] = {}
        for precision, graph in graphs.items():
            result = verify(graph, precision, spec, layers, samples, reference, options.max_batch)
            verification[precision] = result.to_json()
            advance(1)
    made = _made(options, spec, calibration)
    return _write(options.output, network, spec, graphs, calibration, made, verification)


def _check_output(output: Path) -> None:
    """Refuse to replace a folder that is not an artifact of ours."""
    atomic.recover(output)
    if output.exists() and not (output / MANIFEST_NAME).exists() and not _is_empty_folder(output):
        raise ConfigError(
            f"{output} exists and is no artifact folder; it would be replaced: give another --output"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _load(options: ExportOptions) -> tuple[nn.Module, ModelSpec]:
    path = options.checkpoint
    if path is None or path.is_dir():
        if options.mean is not None or options.scale is not None:
            raise ConfigError("--mean and --scale go with a bare state dict; a checkpoint folder has its own")
        network, spec = checkpoint.load(path or checkpoint.pretrained(options.model))
        if spec.name != options.model:
            raise ConfigError(f"{path} is a checkpoint of {spec.name}, not of {options.model}")
        return network, spec
    if options.mean is None or options.scale is None:
        raise ConfigError(
            f"{path} is a bare file and does not say how pixels were normalized in training; "
            "add --mean and --scale, as in (pixel - mean) / scale: 0 and 255 for pixels from 0 to 1"
        )
    spec = find(options.model).spec
    channels = spec.channels
    spec = dataclasses.replace(spec, mean=(options.mean,) * channels, scale=(options.scale,) * channels)
    return checkpoint.load_state_dict(path, spec)


def _calibration(options: ExportOptions, spec: ModelSpec, graph: onnx.ModelProto) -> Calibration:
    """Measure the ranges on the dataset's training split, or take those that ship with the checkpoint."""
    if options.dataset is None:
        return shipped_calibration(spec)
    faces, labels = options.dataset.split("Training")
    count = options.calibration_size
    rows = stratified(labels, count, CALIBRATION_SEED)
    with progress.bar(f"calibrate on {count} faces", 2 * count) as advance:
        return calibrate(
            graph,
            faces[rows],
            source=f"FER2013 Training, stratified, n={count}",
            seed=CALIBRATION_SEED,
            spec=spec,
            advance=advance,
        )


def shipped_calibration(spec: ModelSpec) -> Calibration:
    """Return the ranges that ship beside the checkpoint that `spec` names.

    Raises:
        ConfigError: none ship for exactly this checkpoint.
    """
    path = checkpoint.PRETRAINED / spec.name / CALIBRATION_NAME
    if path.exists():
        calibration = Calibration.loads(path.read_text("utf-8"))
        if calibration.checkpoint_sha256 == spec.checkpoint_sha256:
            return calibration
    raise ConfigError(
        f"--int8 needs faces to calibrate this checkpoint of {spec.name} on: give FER2013 with --data "
        "(ranges ship only for the checkpoint that ships)"
    )


def _samples(dataset: Dataset | None) -> Samples:
    if dataset is None:
        faces = synthetic.faces(SYNTHETIC_FACES, seed=0)
        return Samples(faces, None, f"synthetic faces, seed 0, n={len(faces)}")
    faces, labels = dataset.split("PublicTest")
    return Samples(faces, labels, f"FER2013 PublicTest, n={len(faces)}")


def _made(options: ExportOptions, spec: ModelSpec, calibration: Calibration | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "fer_engine": __version__,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "checkpoint": {
            "sha256": spec.checkpoint_sha256,
            "path": "shipped" if options.checkpoint is None else str(options.checkpoint),
        },
        "max_batch": options.max_batch,
    }
    if calibration is not None:
        made["calibration"] = {
            "method": options.calibration_method,
            "source": calibration.source,
            "samples": calibration.samples,
            "seed": calibration.seed,
            "samples_sha256": calibration.samples_sha256,
        }
    return made


def _write(
    output: Path,
    network: nn.Module,
    spec: ModelSpec,
    graphs: dict[str, onnx.ModelProto],
    calibration: Calibration | None,
    made: dict[str, Any],
    verification: dict[str, Any],
) -> Path:
    with atomic.folder(output) as fresh:
        files = {}
        for precision, graph in graphs.items():
            content = graph.SerializeToString(deterministic=True)
            (fresh / FILE_NAMES[precision]).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            files[precision] = ModelFile(FILE_NAMES[precision], digest, len(content))
        checkpoint.save(fresh / "checkpoint", network, spec)
        if calibration is not None:
            (fresh / CALIBRATION_NAME).write_text(calibration.dumps(), "utf-8")
        manifest = Manifest(spec, files, made, verification)
        (fresh / MANIFEST_NAME).write_text(manifest.dumps(), "utf-8")
        (fresh / "report.md").write_text(render(json.loads(manifest.dumps())), "utf-8")
    return output
