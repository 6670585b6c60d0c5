"""Write the artifact folder: graphs, manifest, calibration, checkpoint and report."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import onnx

from fer_engine._version import __version__
from fer_engine.artifact import files
from fer_engine.artifact.artifact import GRAPH_NAMES, Artifact
from fer_engine.artifact.manifest import Gate, Made, Manifest, ModelFile, Origin
from fer_engine.artifact.schema import from_json, to_json
from fer_engine.errors import ConfigError
from fer_export.int8.make import Int8
from fer_export.report import render
from fer_export.source.load import Source
from fer_export.verify.check import Verification

PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def check_output(output: Path) -> None:
    """Check, before anything is computed, that an artifact may be written in place of `output`.

    Raises:
        ConfigError: it cannot be written, or holds something else than an artifact.
    """
    place = output.absolute()
    nearest = next((folder for folder in place.parents if folder.exists()), place)
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise ConfigError(
            f"cannot write {output}: {nearest} is no folder that you may write to; give another --output"
        )
    files.recover(output)
    if output.exists() and not Artifact.is_at(output) and not _is_empty_folder(output):
        raise ConfigError(
            f"{output} exists and is no artifact folder; it would be replaced: give another --output"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def write_artifact(
    output: Path,
    source: Source,
    *,
    graphs: Mapping[str, onnx.ModelProto],
    int8: Int8 | None,
    verification: Mapping[str, Verification],
    gate: Gate,
    max_batch: int,
) -> Artifact:
    """Write an artifact in place of `output`, whole or not at all; return it.

    `graphs` are those to keep; `verification` and `gate` also tell of others. `int8` is how INT8 was made.
    """
    contents = {precision: graph.SerializeToString(deterministic=True) for precision, graph in graphs.items()}
    entries = {
        precision: ModelFile(GRAPH_NAMES[precision], hashlib.sha256(content).hexdigest(), len(content))
        for precision, content in contents.items()
    }
    made = _made(source, int8, max_batch)
    manifest = Manifest(source.spec, entries, made, to_json(verification), gate)
    with files.folder(output) as fresh:
        written = Artifact(fresh, manifest)
        for precision, content in contents.items():
            written.graph(precision).write_bytes(content)
        source.save(written.checkpoint)
        if int8 is not None:
            written.calibration.write_text(int8.calibration.dumps(), "utf-8")
        written.write_manifest()
        written.report.write_text(render(json.loads(manifest.dumps())), "utf-8")
    return Artifact(output, manifest)


def _made(source: Source, int8: Int8 | None, max_batch: int) -> Made:
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
    if int8 is None:
        return Made(from_json(Origin, origin), extra=extra)
    return Made(from_json(Origin, origin), int8.calibration.summary(), int8.made, extra)
