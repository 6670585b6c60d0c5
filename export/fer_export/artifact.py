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
from fer_engine.artifact.artifact import GRAPH_NAMES, Artifact
from fer_engine.artifact.manifest import Gate, Made, Manifest, ModelFile, Origin
from fer_engine.artifact.schema import from_json
from fer_export.int8.calibrate import Calibration
from fer_export.report import render
from fer_export.source.load import Source

PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def provenance(source: Source, max_batch: int) -> Made:
    """Return how an artifact was made, for its manifest."""
    origin = {"sha256": source.spec.checkpoint_sha256, **source.made}
    extra = {
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "fer_engine": __version__,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "reference": source.reference,
        "max_batch": max_batch,
    }
    return Made(from_json(Origin, origin), extra=extra)


def write(
    output: Path,
    source: Source,
    *,
    graphs: Mapping[str, onnx.ModelProto],
    calibration: Calibration | None,
    made: Made,
    verification: dict[str, Any],
    gate: Gate,
) -> Artifact:
    """Write an artifact in place of `output`; return it."""
    contents = {precision: graph.SerializeToString(deterministic=True) for precision, graph in graphs.items()}
    entries = {
        precision: ModelFile(GRAPH_NAMES[precision], hashlib.sha256(content).hexdigest(), len(content))
        for precision, content in contents.items()
    }
    manifest = Manifest(source.spec, entries, made, verification, gate)
    with files.folder(output) as fresh:
        written = Artifact(fresh, manifest)
        for precision, content in contents.items():
            written.graph(precision).write_bytes(content)
        source.save(written.checkpoint)
        if calibration is not None:
            written.calibration.write_text(calibration.dumps(), "utf-8")
        written.write_manifest()
        written.report.write_text(render(json.loads(manifest.dumps())), "utf-8")
    return Artifact(output, manifest)
