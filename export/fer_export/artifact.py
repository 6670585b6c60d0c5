"""The artifact folder: graphs, manifest, calibration, checkpoint and report, written whole or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from fer_engine._version import __version__
from fer_engine.artifact import files
from fer_engine.artifact.manifest import MANIFEST_NAME, Manifest, ModelFile
from fer_export.int8.calibrate import CALIBRATION_NAME, Calibration
from fer_export.report import render
from fer_export.source.load import Source

FILE_NAMES = {
    "fp32": "model.onnx",
    "fp16": "model.fp16.onnx",
    "int8": "model.int8.onnx",
    "int8-cpu": "model.int8-cpu.onnx",
}
REPORT_NAME = "report.md"
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def provenance(source: Source, max_batch: int) -> dict[str, Any]:
    """Return how an artifact was made, for its manifest."""
    return {
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "fer_engine": __version__,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "checkpoint": {"sha256": source.spec.checkpoint_sha256, **source.made},
        "reference": source.reference,
        "max_batch": max_batch,
    }


def write(
    output: Path,
    source: Source,
    *,
    graphs: Mapping[str, onnx.ModelProto],
    calibration: Calibration | None,
    made: dict[str, Any],
    verification: dict[str, Any],
    gate: dict[str, Any],
) -> Path:
    """Write an artifact in place of `output`; return it."""
    with files.folder(output) as fresh:
        graphs_in = {}
        for precision, graph in graphs.items():
            content = graph.SerializeToString(deterministic=True)
            (fresh / FILE_NAMES[precision]).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            graphs_in[precision] = ModelFile(FILE_NAMES[precision], digest, len(content))
        source.save(fresh / "checkpoint")
        if calibration is not None:
            (fresh / CALIBRATION_NAME).write_text(calibration.dumps(), "utf-8")
        manifest = Manifest(source.spec, graphs_in, made, verification, gate)
        (fresh / MANIFEST_NAME).write_text(manifest.dumps(), "utf-8")
        (fresh / REPORT_NAME).write_text(render(json.loads(manifest.dumps())), "utf-8")
    return output
