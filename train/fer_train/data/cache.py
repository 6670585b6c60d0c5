"""Parsed datasets kept as uncompressed `.npz`, so that a csv or folder is parsed once.

The file stands beside its source, else in the user's cache folder; where FER_ENGINE_CACHE is set,
it stands there and nowhere else. It carries the key of its source: path, sizes, times, version.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path

import numpy as np

from fer_engine.artifact import files
from fer_engine.errors import DataError, FerError
from fer_engine.system.cache import VARIABLE, cache_folder, named_cache_folder
from fer_train.data import image_folder, npz
from fer_train.data.dataset import Dataset

FORMAT_VERSION = 1
LOG = logging.getLogger(__name__)


def source_key(path: Path) -> str:
    """Hex SHA-256 of the format version and of the path, size and time of each file of the source."""
    sources = [file for file, _, _ in image_folder.find_images(path)] if path.is_dir() else [path]
    digest = hashlib.sha256(f"{FORMAT_VERSION}\0{path.resolve()}".encode())
    for file in sources:
        status = file.stat()
        digest.update(f"\0{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def read_cache(path: Path, key: str) -> Dataset | None:
    """Return the cached dataset of the source `path`, or None where none is intact and of this `key`."""
    found = (_read(place, key, path.name) for place in _places(path))
    return next((dataset for dataset in found if dataset is not None), None)


def write_cache(path: Path, key: str, dataset: Dataset) -> None:
    """Keep `dataset` for later loads of `path`; where no place can be written, warn and go on."""
    content = io.BytesIO()
    np.savez(content, images=dataset.images, labels=dataset.labels, usage=dataset.usage, key=np.array(key))
    if not any(_write(place, content.getvalue()) for place in _places(path)):
        LOG.warning(
            "%s will be parsed again next time: no cache could be written; name a folder in %s",
            path,
            VARIABLE,
        )


def _read(place: Path, key: str, source: str) -> Dataset | None:
    try:
        arrays = npz.read_arrays(place, (*npz.ARRAYS, "key"))
        fresh = str(arrays.pop("key")) == key
        return npz.make_dataset(arrays, source) if fresh else None
    except (DataError, OSError):  # none there, or a damaged one: parse the source and write it anew
        return None


def _write(place: Path, content: bytes) -> bool:
    try:
        files.write_bytes(place, content)
    except FerError:
        return False
    return True


def _places(path: Path) -> list[Path]:
    """Where the cache of `path` may stand, best first."""
    path = path.resolve()
    elsewhere = f"{path.name}.{hashlib.sha256(bytes(path)).hexdigest()[:16]}.npz"
    named = named_cache_folder()
    return (
        [named / elsewhere]
        if named
        else [path.with_name(f"{path.name}.cache.npz"), cache_folder() / elsewhere]
    )
