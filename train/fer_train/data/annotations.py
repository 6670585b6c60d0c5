"""A csv of annotations: one row an image file, with a header that names the columns."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fer_engine.errors import DataError


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the csv at `path`; `number` is its line, the header being 1."""

    path: Path
    number: int
    fields: dict[str, str]

    def value(self, column: str, lowest: float, highest: float) -> float:
        """Return a field as a number.

        Raises:
            DataError: it is none from `lowest` to `highest`.
        """
        text = self.fields[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            self.refuse(column, f"a number from {lowest:g} to {highest:g}")
        return value

    def file(self, column: str, folder: Path) -> Path:
        """Return the image that a field names, relative to `folder`.

        Raises:
            DataError: there is none.
        """
        file = folder / self.fields[column].replace("\\", "/")
        if not file.is_file():
            raise DataError(
                f"{self.path}, row {self.number}, column {column!r}: no such image: {file}; "
                "name the folder of the images with --images"
            )
        return file

    def refuse(self, column: str, expected: str) -> NoReturn:
        got = repr(self.fields[column][:20])
        raise DataError(f"{self.path}, row {self.number}, column {column!r}: got {got}, expected {expected}")


def read_header(path: Path) -> list[str]:
    """Return the names of the columns; none where the file does not begin with text."""
    with path.open("rb") as file:
        line = file.readline(4096)
    try:
        return [name.strip(' \t\r\n"') for name in line.decode("utf-8-sig").split(",")]
    except UnicodeDecodeError:
        return []


def read_rows(path: Path, needed: Collection[str], known: Collection[str] = ()) -> Iterator[Row]:
    """Give the rows of a csv whose header has the columns `needed`, and no others than the `known`.

    Raises:
        DataError: a column is missing or unknown, a row has too few or many fields, or there is none.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        try:
            _check_columns(path, reader.fieldnames or (), needed, known)
            for fields in reader:
                if None in fields or None in fields.values():
                    raise DataError(
                        f"{path}, row {reader.line_num}: another number of columns than in the header; "
                        "the file is cut or was edited, get it again"
                    )
                yield Row(path, reader.line_num, fields)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}, row {reader.line_num + 1}: no csv in UTF-8 ({error})") from None
    if reader.line_num < 2:
        raise DataError(f"{path}: no row below the header; expected one an image")


def _check_columns(
    path: Path, found: Collection[str], needed: Collection[str], known: Collection[str]
) -> None:
    for what, names in (
        ("missing", [name for name in needed if name not in found]),
        ("repeated", sorted({name for name in found if list(found).count(name) > 1})),
        ("unknown", [name for name in found if name not in {*needed, *known}]),
    ):
        if names:
            raise DataError(
                f"{path}, row 1: {what} column {', '.join(map(repr, names))}; expected {', '.join(needed)}"
                + (f", perhaps {', '.join(known)}" if known else "")
            )
