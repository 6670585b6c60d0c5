"""Kaggle's `fer2013.csv` and `icml_face_data.csv`, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import DataError
from fer_engine.system.progress import bar
from fer_train.data.dataset import SIDE, SPLITS, Dataset

COLUMNS = ("emotion", "pixels", "Usage")
PIXELS = SIDE * SIDE
LONGEST_LINE = 64 * 1024  # bytes; a row of three-digit pixels has about 9,300
LABELS = {b"%d" % index: index for index in range(len(EXPRESSIONS))}
USAGES = {name.encode(): index for index, name in enumerate(SPLITS)}


def read_csv(path: Path) -> Dataset:
    """Read a csv with the columns emotion, pixels and Usage, in any order.

    No Python object is made for a pixel: the bytes of one row at a time become an array.

    Raises:
        DataError: with the row (line of the file, the header is 1), the column and what was expected.
    """
    # Byte arrays grow in place: the whole set is never copied nor held twice.
    pixels, labels, usages = bytearray(), bytearray(), bytearray()
    with path.open("rb") as file, bar(f"reading {path.name}", path.stat().st_size) as advance:
        lines = _lines(path, file)
        width, at = _columns(path, next(lines, b""))
        for number, line in enumerate(lines, 2):
            if line.isspace():
                continue
            fields = [field.strip(b' \t\r\n"') for field in line.split(b",")]
            if len(fields) != width:
                raise DataError(
                    f"{path}, row {number}: {len(fields)} columns, expected {width} as in the header; "
                    "the file is cut or was edited, get it again"
                )
            emotion, text, usage = (fields[at[name]] for name in COLUMNS)
            if emotion not in LABELS:
                _reject(path, number, "emotion", emotion, f"an integer from 0 to {len(EXPRESSIONS) - 1}")
            if usage not in USAGES:
                _reject(path, number, "Usage", usage, f"one of {', '.join(SPLITS)}")
            face = parse_pixels(text)
            if face is None:
                raise DataError(f"{path}, row {number}, column 'pixels': {_fault(text)}")
            pixels += face.data
            labels.append(LABELS[emotion])
            usages.append(USAGES[usage])
            advance(len(line))
    return Dataset(
        images=np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE),
        labels=np.frombuffer(labels, np.uint8),
        usage=np.array(SPLITS)[np.frombuffer(usages, np.uint8)],
        source=path.name,
    )


def parse_pixels(text: bytes) -> NDArray[np.uint8] | None:
    """Turn 2,304 decimal numbers parted by one space into uint8 [2304]; None where it is not that."""
    codes = np.frombuffer(text, np.uint8)
    spaces = np.flatnonzero(codes == ord(" "))
    if len(spaces) != PIXELS - 1:
        return None
    ends = np.append(spaces, len(codes))
    lengths = np.diff(ends, prepend=-1) - 1
    digits = codes - np.uint8(ord("0"))  # wraps around: all that is no digit lies above 9
    if np.count_nonzero(digits > 9) != PIXELS - 1 or lengths.min() < 1 or lengths.max() > 3:
        return None
    # A number shorter than three digits reads its neighbours at -2 and -3; the product drops them.
    values = digits[ends - 1].astype(np.uint16)
    values += digits[ends - 2].astype(np.uint16) * 10 * (lengths > 1)
    values += digits[ends - 3].astype(np.uint16) * 100 * (lengths > 2)
    return values.astype(np.uint8) if values.max() <= 255 else None


def _lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise DataError(
                f"{path}, row {number}: longer than {LONGEST_LINE} bytes, expected a line of at most "
                f"{PIXELS} pixels; is this a FER2013 csv?"
            )
        yield line


def _columns(path: Path, header: bytes) -> tuple[int, dict[str, int]]:
    """Return the number of columns and where the three that matter stand."""
    if not header:
        raise DataError(f"{path}: the file is empty, expected a header with {', '.join(COLUMNS)}")
    try:
        found = [name.strip(' \t\r\n"') for name in header.decode("utf-8-sig").split(",")]
    except UnicodeDecodeError:
        raise DataError(f"{path}, row 1: not UTF-8 text, expected a csv with {', '.join(COLUMNS)}") from None
    at = {name.lower(): index for index, name in enumerate(found)}
    for name in COLUMNS:
        if name.lower() not in at:
            shown = ", ".join(repr(entry[:20]) for entry in found[:8])
            raise DataError(
                f"{path}, row 1: no column {name!r}, found {shown}; expected {', '.join(COLUMNS)}"
            )
    return len(found), {name: at[name.lower()] for name in COLUMNS}


def _reject(path: Path, row: int, column: str, got: bytes, expected: str) -> NoReturn:
    raise DataError(f"{path}, row {row}, column {column!r}: got {_shown(got)}, expected {expected}")


def _fault(text: bytes) -> str:
    """Return why `parse_pixels` refused `text`."""
    entries = text.split(b" ")
    for index, entry in enumerate(entries):
        if not (entry.isdigit() and len(entry) <= 3 and int(entry) <= 255):
            return f"pixel {index + 1} is {_shown(entry)}, expected an integer from 0 to 255"
    kind = "short" if len(entries) < PIXELS else "long"
    return f"the row is too {kind}: {len(entries)} pixels, expected {PIXELS} ({SIDE}x{SIDE})"


def _shown(entry: bytes) -> str:
    return repr(entry[:20].decode("ascii", "backslashreplace"))
