"""Labelled faces in all the forms in which people hold them: one loader, one `Dataset`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError, DataError
from fer_train.data import affectnet, bitmoji, image_folder, kaggle_csv, npz
from fer_train.data import cache as caches
from fer_train.data.annotations import read_header
from fer_train.data.dataset import SIDE, SPLITS, Dataset
from fer_train.data.votes import FERPLUS, check_votes, distribution, read_votes_csv

__all__ = ["SPLITS", "Dataset", "load_dataset"]

MAX_LABELS = 256  # labels are bytes
EIGHT = "ferplus"  # stands for FER+'s eight labels
Reader = Callable[[Path, Path, Sequence[str] | None, tuple[int, ...]], Dataset]
# A csv of annotations is known by the column with its images.
ANNOTATED: dict[str, Reader] = {
    affectnet.PATH: affectnet.read_affectnet,
    bitmoji.COLUMNS[0]: bitmoji.read_bitmoji,
}


def load_dataset(
    path: Path | str,
    cache: bool = True,
    *,
    names: Sequence[str] | None = None,
    images: Path | None = None,
    face_shape: tuple[int, ...] = (SIDE, SIDE),
    votes: Path | None = None,
) -> Dataset:
    """Read a dataset, in whatever form it comes.

    FER2013 as a Kaggle csv, a folder `train|test/<label>/*.png|jpg` or an `.npz`; a folder or `.npz` with
    labels of its own; the csv of AffectNet or of Bitmoji faces.

    With `cache`, FER2013's csv or folder is parsed once; later loads read the arrays from a cache file
    (see `fer_train.data.cache`) as long as the source is unchanged.

    Args:
        path: The file or folder.
        cache: Whether to keep and use what was parsed.
        names: The labels, in order; None for those that the form has by itself.
        images: The folder that a csv's image files are relative to; None for the csv's own.
        face_shape: What images of other sizes become: (height, width), and 3 for RGB.
        votes: FER+'s votes for FER2013's csv or `.npz`: `fer2013new.csv`, or an `.npz` with the array
            `votes`. An `.npz` of faces may hold them itself. With votes `names` may be ["ferplus"]: FER+'s
            eight labels, each face's the one with the most votes; faces with no vote for any are left out.

    Raises:
        DataError: the source is missing, damaged, or does not hold what it should.
        ConfigError: `names`, `images` or `votes` do not go with the form.
    """
    eight = names is not None and list(names) == [EIGHT]
    dataset = _load_labelled(path, cache, None if eight else names, images, face_shape)
    if votes is not None:
        dataset = _with_votes(dataset, path, votes)
    return _with_eight_labels(dataset) if eight else dataset


def _load_labelled(
    path: Path | str,
    cache: bool,
    names: Sequence[str] | None,
    images: Path | None,
    face_shape: tuple[int, ...],
) -> Dataset:
    path = Path(path)
    if names is not None and (not all(names) or len({name.lower() for name in names}) != len(names)):
        raise ConfigError(f"labels must be distinct in more than case and not empty, got {list(names)}")
    if names is not None and len(names) > MAX_LABELS:
        raise ConfigError(f"{len(names)} labels were given, expected at most {MAX_LABELS}")
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; expected a .csv, an .npz or a folder of images")
        reader = None if path.is_dir() or path.suffix.lower() != ".csv" else _annotated(path)
        if reader is not None:
            return reader(path, images or path.parent, names, face_shape)
        if images is not None:
            raise ConfigError(_no_images(path))
        if names is not None:
            return _own_labels(path, names, face_shape)
        return _fer2013(path, cache)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{error.filename or path}: cannot read it: {reason}") from error


def _with_votes(dataset: Dataset, path: Path | str, votes: Path) -> Dataset:
    if Path(path).is_dir() or dataset.names != EXPRESSIONS:
        kind = "a folder, without rows" if Path(path).is_dir() else "another set"
        raise ConfigError(f"--votes goes with FER2013's csv or npz, whose rows it follows; {path} is {kind}")
    if votes.suffix.lower() == ".npz":
        if not votes.is_file():
            raise DataError(f"{votes}: no such file")
        found = check_votes(npz.read_arrays(votes, ("votes",))["votes"], len(dataset), str(votes))
    else:
        found = read_votes_csv(votes, dataset.usage.tolist())
    return dataclasses.replace(dataset, votes=found)


def _with_eight_labels(dataset: Dataset) -> Dataset:
    if dataset.votes is None:
        raise ConfigError(f"labels {EIGHT} are those of FER+: name its votes with --votes")
    shares = distribution(dataset.votes, FERPLUS)
    voted = shares.sum(1) > 0
    return Dataset(
        dataset.images[voted],
        shares[voted].argmax(1).astype(np.uint8),
        dataset.usage[voted],
        f"{dataset.source} ({int((~voted).sum())} faces without a vote left out)",
        FERPLUS,
        dataset.votes[voted],
    )


def _annotated(path: Path) -> Reader | None:
    columns = read_header(path)
    return next((reader for column, reader in ANNOTATED.items() if column in columns), None)


def _no_images(path: Path) -> str:
    rule = "--images goes with a csv that names image files"
    if path.is_dir() or path.suffix.lower() != ".csv":
        return f"{rule}; {path} is none"
    found = ", ".join(read_header(path))[:100] or "no text in UTF-8"
    columns = " or ".join(ANNOTATED)
    return f"{rule}: in a column {columns}, with commas between columns; row 1 of {path} has {found}"


def _own_labels(path: Path, names: Sequence[str], face_shape: tuple[int, ...]) -> Dataset:
    if path.is_dir():
        return image_folder.read_folder(path, names, face_shape)
    if path.suffix.lower() == ".npz":
        return npz.read_npz(path, names)
    raise ConfigError(
        f"{path} has no labels of its own: they go with a folder of images, an .npz, or the csv of AffectNet "
        "or Bitmoji; leave out --labels"
    )


def _fer2013(path: Path, cache: bool) -> Dataset:
    if path.suffix.lower() == ".npz":
        return npz.read_npz(path, None)
    if not path.is_dir() and path.suffix.lower() != ".csv":
        raise DataError(
            f"{path}: unknown kind of file {path.suffix!r}; expected a .csv, an .npz or a folder of images "
            "(unpack an archive first)"
        )
    if not cache:
        return _parse(path)
    key = caches.source_key(path)
    dataset = caches.read_cache(path, key)
    if dataset is None:
        dataset = _parse(path)
        caches.write_cache(path, key, dataset)
    return dataset


def _parse(path: Path) -> Dataset:
    return image_folder.read_folder(path) if path.is_dir() else kaggle_csv.read_csv(path)
