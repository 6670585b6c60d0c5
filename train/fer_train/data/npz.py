"""The `.npz` form: the arrays images, labels and usage."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError
from fer_train.data.dataset import Dataset

ARRAYS = ("images", "labels", "usage")


def read(path: Path) -> Dataset:
    """Read a dataset; the arrays are those of `Dataset`, of the same shapes and types.

    Raises:
        DataError: the file is damaged, lacks an array, or one has the wrong shape, type or range.
    """
    return Dataset(**arrays(path, ARRAYS), source=path.name)


def arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read the arrays called `names`, their checksums compared.

    Raises:
        DataError: the file is damaged or lacks an array.
    """
    read = {}
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in names:
                if name not in found:
                    raise DataError(f"{path}: no array {name!r}, found {', '.join(found) or 'none'}")
                with archive.open(f"{name}.npy") as member:
                    read[name] = np.lib.format.read_array(member, allow_pickle=False)
                    member.read()  # zipfile compares the checksum at the end of a member
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{path}: damaged, or not an .npz file ({error}); get it again") from None
    return read
