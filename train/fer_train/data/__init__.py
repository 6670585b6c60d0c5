"""FER2013 in all the forms in which people hold it: one loader, one `Dataset`."""

from __future__ import annotations

from pathlib import Path

from fer_engine.errors import DataError
from fer_train.data import cache as caches
from fer_train.data import folder, kaggle_csv, npz
from fer_train.data.dataset import SPLITS, Dataset

__all__ = ["SPLITS", "Dataset", "load"]


def load(path: Path | str, cache: bool = True) -> Dataset:
    """Read a dataset: a Kaggle csv, a folder `train|test/<label>/*.png|jpg`, or an `.npz`.

    With `cache`, a csv or folder is parsed once; later loads read the arrays from a cache file
    (see `fer_train.data.cache`) as long as the source is unchanged.

    Raises:
        DataError: the source is missing, damaged, or does not hold what it should.
    """
    path = Path(path)
    try:
        return _load(path, cache)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{error.filename or path}: cannot read it: {reason}") from error


def _load(path: Path, cache: bool) -> Dataset:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; expected a .csv, an .npz or a folder of images")
    if path.suffix.lower() == ".npz":
        return npz.read(path)
    if not path.is_dir() and path.suffix.lower() != ".csv":
        raise DataError(
            f"{path}: unknown kind of file {path.suffix!r}; expected a .csv, an .npz or a folder of images "
            "(unpack an archive first)"
        )
    if not cache:
        return _parse(path)
    key = caches.key(path)
    dataset = caches.read(path, key)
    if dataset is None:
        dataset = _parse(path)
        caches.write(path, key, dataset)
    return dataset


def _parse(path: Path) -> Dataset:
    return folder.read(path) if path.is_dir() else kaggle_csv.read(path)
