"""The `.npz` form: the arrays images, labels and usage, and votes where FER+ has them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import DataError, first_line
from fer_train.data.dataset import Dataset

ARRAYS = ("images", "labels", "usage")


def read_npz(path: Path, names: Sequence[str] | None) -> Dataset:
    """Read a dataset; the arrays are those of `Dataset`, of the same shapes and types.

    `names` are those of the labels, by default FER2013's.

    Raises:
        DataError: the file is damaged, lacks an array, or one has the wrong shape, type or range.
    """
    return make_dataset(
        read_arrays(path, ARRAYS, () if names else ("votes",)), path.name, tuple(names or EXPRESSIONS)
    )


def make_dataset(held: dict[str, NDArray[Any]], source: str, names: tuple[str, ...] = EXPRESSIONS) -> Dataset:
    """Make a dataset of the arrays called images, labels and usage, and votes where it is among them."""
    return Dataset(held["images"], held["labels"], held["usage"], source, names, held.get("votes"))


def read_arrays(
    path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, NDArray[Any]]:
    """Read the arrays called `names`, and the `optional` ones that are there; checksums are compared.

    Raises:
        DataError: the file is damaged or lacks an array.
    """
    loaded = {}
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in (*names, *(name for name in optional if name in found)):
                if name not in found:
                    held = ", ".join(found) or "none"
                    raise DataError(f"{path}: no array {name!r}, found {held}")  # noqa: TRY301
                with archive.open(f"{name}.npy") as member:
                    loaded[name] = np.lib.format.read_array(member, allow_pickle=False)
                    member.read()  # zipfile compares the checksum at the end of a member
    except (DataError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - zipfile and numpy raise anything on damaged bytes
        reason = first_line(error)
        raise DataError(f"{path}: damaged, or not an .npz file ({reason}); get it again") from None
    return loaded
