"""The artifact of a checkpoint that ships with the package, exported once into the user's cache."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import shutil
import tempfile
import time
from pathlib import Path

from fer_engine import exporter
from fer_engine._version import __version__
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError, ConfigError, FerError
from fer_engine.system.cache import cache_folder

LOG = logging.getLogger(__name__)
MODEL = "fer_tiny"  # the best answers at camera rates
# The entry of the cache that has a precision. Quantizing and judging doubles the time of an export, so it
# waits until it is asked for.
FLOAT, ALL = "fp32", "all"
PRECISIONS = {"fp32": FLOAT, "fp16": ALL, "int8": ALL, "int8-cpu": ALL, "auto": ALL}
STALE_SECONDS = 24 * 3600  # no export takes so long: what is older was left by one that was killed


def shipped_artifact(model: str = MODEL, precision: str = "fp32") -> Path:
    """Return the artifact folder of a checkpoint that ships with the package.

    The first call exports it into the user's cache folder, in a process of its own, which takes about half
    a minute and is shown on standard error; for any `precision` but "fp32" all of them are exported. What is
    there is used once its hashes are found right, and made anew where they are not. Several processes may
    call at once.

    Raises:
        ConfigError: no such checkpoint ships, or the precision is unknown.
        ExportError: PyTorch or ONNX is not installed, or the export failed.
        FerError: there is no cache folder, or it cannot be written.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    checkpoint = _checkpoint(model)
    folder = cache_folder() / __version__ / f"{model}-{checkpoint[:12]}"
    entry = PRECISIONS[precision]
    for name in dict.fromkeys((entry, ALL)):  # that one has FP32 too
        if (folder / name).exists() and _is_sound(folder / name):
            return folder / name
    try:
        return _make(model, folder, entry)
    except OSError as error:
        raise FerError(
            f"cannot write {folder}: {error.strerror or error}; free the space, or export where you may "
            f"write with '{exporter.model_command(model, 'DIR')}' and give DIR as the artifact"
        ) from error


def _checkpoint(model: str) -> str:
    """Return the hash of the checkpoint that ships for a model, without importing what reads it."""
    package = importlib.util.find_spec("fer_train")
    roots = [] if package is None else package.submodule_search_locations or []
    specs = {path.parent.name: path for root in roots for path in Path(root).glob("pretrained/*/spec.json")}
    if model not in specs:
        raise ConfigError(f"no model {model!r} ships with the package; there are: {', '.join(sorted(specs))}")
    return ModelSpec.loads(specs[model].read_text("utf-8")).checkpoint_sha256


def _is_sound(folder: Path) -> bool:
    """Say whether an artifact is what its manifest says; a damaged one is logged."""
    try:
        artifact = Artifact.open(folder)
        for precision in artifact.files:
            artifact.read_graph(precision)
    except ArtifactError as error:
        LOG.warning("the exported model in the cache is damaged and will be made anew: %s", error)
        return False
    return True


def _make(model: str, folder: Path, entry: str) -> Path:
    """Export beside the entry, then give it the entry's name; return the entry."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # its process has just come to its end
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    artifact = folder / entry
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder) as name:
        made = Path(name) / "artifact"
        exporter.export_model(model, made, all_precisions=entry == ALL)
        if artifact.exists() and not _is_sound(artifact):
            artifact.rename(Path(name) / "damaged")
        try:
            made.rename(artifact)
        except OSError:
            # Another process was quicker; what it made is as good as ours.
            if not (artifact.exists() and _is_sound(artifact)):
                raise
    return artifact
