"""Pictures for a detection: an `.npz` of whole pictures, in the size that the detector takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_engine.errors import DataError
from fer_train.data.dataset import Dataset
from fer_train.data.npz import read_arrays

LABEL = "face"  # of every picture alike: what is in them nobody says
LEAST = 2  # one to calibrate on, one to verify on


def read_pictures(path: Path, shape: tuple[int, ...]) -> Dataset:
    """Read the array `images`, uint8 [n, *shape], and with it `usage` where the pictures have splits.

    Without `usage` every tenth is in the split PublicTest, the others in Training.

    Raises:
        DataError: the file is missing or damaged, lacks the array, or the array is of another kind.
    """
    expected = f"uint8 [n, {', '.join(map(str, shape))}]"
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise DataError(
            f"{path}: pictures for a detector come as an .npz file with the array images, {expected}; "
            "write one with numpy.savez"
        )
    try:
        held = read_arrays(path, ("images",), ("usage",))
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror or error}") from error
    images = held["images"]
    if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) < LEAST:
        raise DataError(
            f"{path.name}: array 'images' is {images.dtype} {list(images.shape)}, the detector takes "
            f"{expected}, n at least {LEAST}; shrink each picture into that size"
        )
    labels = np.zeros(len(images), np.uint8)
    if "usage" in held:
        return Dataset(images, labels, held["usage"], path.name, (LABEL,))
    return Dataset.split_off(images, labels, path.name, (LABEL,))
