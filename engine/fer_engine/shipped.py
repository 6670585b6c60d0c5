"""The artifact of a checkpoint that ships with the package, exported once into the user's cache."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fer_engine._version import __version__
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError, ConfigError, ExportError, FerError
from fer_engine.system import progress

LOG = logging.getLogger(__name__)
MODEL = "mini_xception"
EXPORTER = ("-m", "fer_export.cli")
NEEDED = ("torch", "onnx", "onnxscript")  # what fer-export cannot do without
# An entry of the cache, and what fer-export makes it with. Quantizing and judging doubles the time, so it
# waits until it is asked for. What the export's gate refuses is kept: it loads by its name alone.
ENTRIES = {"fp32": (), "all": ("--fp16", "--int8", "--force")}
PRECISIONS = {"fp32": "fp32", "fp16": "all", "int8": "all", "int8-cpu": "all", "auto": "all"}
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
    for name in dict.fromkeys((entry, "all")):  # that one has FP32 too
        if (folder / name).exists() and _is_sound(folder / name):
            return folder / name
    try:
        return _make(model, folder, entry)
    except OSError as error:
        raise FerError(
            f"cannot write {folder}: {error.strerror or error}; free the space, or export where you may "
            f"write with 'fer-export --model {model} --output DIR' and give DIR as the artifact"
        ) from error


def cache_folder() -> Path:
    """Return the folder for what may be made again, by the rules of the operating system.

    Raises:
        FerError: the user has no home folder.
    """
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            given = Path(os.environ.get("XDG_CACHE_HOME", ""))
            # The XDG Base Directory Specification has a relative path ignored.
            base = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise FerError(
            "no home folder to keep the exported model in; set HOME, or export it yourself with fer-export "
            "and give its folder as the artifact"
        ) from None
    return base / "fer-engine"


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
    _check_exporter()
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # its process has just come to its end
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    artifact = folder / entry
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder) as name:
        made = Path(name) / "artifact"
        _export(["--model", model, *ENTRIES[entry], "--output", str(made)], Path(name), model)
        if artifact.exists() and not _is_sound(artifact):
            artifact.rename(Path(name) / "damaged")
        try:
            made.rename(artifact)
        except OSError:
            # Another process was quicker; what it made is as good as ours.
            if not (artifact.exists() and _is_sound(artifact)):
                raise
    return artifact


def _check_exporter() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"the shipped model is exported at its first use, and {', '.join(missing)} is not installed; "
            "install it with: pip install 'fer-engine[export]', or give an artifact that was made elsewhere"
        )


def _export(arguments: list[str], scratch: Path, model: str) -> None:
    """Run fer-export, and show what it says as it goes on."""
    command = [sys.executable, *EXPORTER, *arguments]
    title = f"exporting {model}, which happens once"
    said = "it said nothing"
    with (
        progress.bar(title) as advance,
        # In an empty folder, so that nothing in the current one is imported by accident.
        subprocess.Popen(
            command,
            cwd=scratch,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as child,
    ):
        try:
            for line in child.stderr or ():
                said = line.strip() or said
                advance(step=said)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise ExportError(f"fer-export could not export {model}: {said.removeprefix('error: ')}")
