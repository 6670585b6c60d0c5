"""FER+: the votes of ten annotators for each face of FER2013.

Source: E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial Expression
Recognition with Crowd-Sourced Label Distribution", ICMI 2016. Microsoft's `fer2013new.csv` has a row for each
of Kaggle's `fer2013.csv`, in the same order; an `.npz` may hold them as the array `votes`.

"contempt", "unknown" and "NF" (no face) are no expressions of FER2013. In a distribution over the seven these
votes are left out; a face that has no others has no distribution. In a majority they count as votes against.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError, DataError

COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
CONTEMPT = "contempt"
FERPLUS = (*EXPRESSIONS, CONTEMPT)  # the eight expressions that FER+ tells apart
_COLUMN = {"angry": "anger", "happy": "happiness", "sad": "sadness"}  # others have the label's own name
ANNOTATORS = (9, 10)  # votes of a face: ten, and nine for one face of the published file

Votes = NDArray[np.uint8]


def read_votes_csv(path: Path, usage: Sequence[str]) -> Votes:
    """Read a csv of votes for faces whose splits are `usage`, in their order.

    It has the columns of `COLUMNS`, in any order, beside others. The column "Usage" is held against `usage`,
    so that votes for other faces are not taken for these.

    Returns:
        uint8 [faces, 10] in the order of `COLUMNS`. The row of an image without a name, which FER+ gives to
        those that show no face, is all 0.

    Raises:
        DataError: with the row (line of the file, the header is 1), the column and what was expected.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, csv.reader(file), usage))
    except OSError as error:
        raise DataError(f"{path}: cannot read it: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a csv in UTF-8 ({error}); expected {', '.join(COLUMNS)}") from None
    if len(rows) != len(usage):
        raise DataError(
            f"{path}: votes for {len(rows)} faces, but there are {len(usage)}; the votes go row by row with "
            "the faces: give both files whole, or both cut in the same way"
        )
    return np.array(rows, np.uint8).reshape(-1, len(COLUMNS))


def _rows(path: Path, lines: Iterator[list[str]], usage: Sequence[str]) -> Iterator[list[int]]:
    header = [name.strip() for name in next(lines, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        found = ", ".join(header)[:100] or "none"
        raise DataError(
            f"{path}, row 1: no column {missing[0]!r}, found {found}; expected {', '.join(COLUMNS)}"
        )
    places = [header.index(name) for name in COLUMNS]
    face = 0
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        if len(line) != len(header):
            raise DataError(
                f"{path}, row {number}: {len(line)} columns, expected {len(header)} as in the header; "
                "the file is cut or was edited, get it again"
            )
        fields = dict(zip(header, line, strict=True))
        expected = usage[face] if face < len(usage) else None
        if expected is not None and fields.get("Usage", expected).strip() != expected:
            raise DataError(
                f"{path}, row {number}, column 'Usage': got {fields['Usage'][:20]!r}, but face {face + 1} is "
                f"of {expected}; the votes go row by row with the faces"
            )
        face += 1
        votes = [_count(path, number, name, line[at]) for name, at in zip(COLUMNS, places, strict=True)]
        if not fields.get("Image name", "named").strip():
            yield [0] * len(COLUMNS)
            continue
        if sum(votes) not in ANNOTATORS:
            raise DataError(f"{path}, row {number}: {sum(votes)} votes, expected {ANNOTATORS[-1]}")
        yield votes


def _count(path: Path, row: int, column: str, text: str) -> int:
    entry = text.strip()
    if not (entry.isascii() and entry.isdigit() and int(entry) <= ANNOTATORS[-1]):
        raise DataError(
            f"{path}, row {row}, column {column!r}: got {entry[:20]!r}, expected a number of votes from 0 to "
            f"{ANNOTATORS[-1]}"
        )
    return int(entry)


def check_votes(votes: NDArray[Any], faces: int, source: str) -> Votes:
    """Return `votes` where they are uint8 [faces, 10] and each row has ten votes or none.

    Raises:
        DataError: they have another type, shape or number.
    """
    if votes.dtype != np.uint8 or votes.shape != (faces, len(COLUMNS)):
        raise DataError(
            f"{source}: array 'votes' is {votes.dtype} {list(votes.shape)}, expected uint8 "
            f"[{faces}, {len(COLUMNS)}]: one row a face, one column for each of {', '.join(COLUMNS)}"
        )
    totals = votes.sum(1, dtype=np.int64)
    wrong = np.flatnonzero(~np.isin(totals, (0, *ANNOTATORS)))
    if len(wrong):
        raise DataError(
            f"{source}: {totals[wrong[0]]} votes at index {wrong[0]}, expected {ANNOTATORS[-1]}, or 0 where "
            "nobody voted"
        )
    return votes


def _counts(votes: Votes, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the votes for the labels `names`, float32 [n, len(names)]."""
    unknown = [name for name in names if _COLUMN.get(name, name) not in COLUMNS[:-2]]
    if unknown:
        raise ConfigError(f"FER+ has no votes for {', '.join(unknown)}; its labels are {', '.join(FERPLUS)}")
    return votes[:, [COLUMNS.index(_COLUMN.get(name, name)) for name in names]].astype(np.float32)


def distribution(votes: Votes, names: Sequence[str] = EXPRESSIONS) -> NDArray[np.float32]:
    """Return each face's share of votes by label, float32 [n, len(names)].

    Rows have the sum 1, and 0 where a face has no vote for any of the labels.

    Raises:
        ConfigError: FER+ has no votes for a label.
    """
    counts = _counts(votes, names)
    totals = counts.sum(1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def majority(votes: Votes, names: Sequence[str] = EXPRESSIONS) -> NDArray[np.int64]:
    """Return the label that more than half of a face's annotators named, int64 [n]; -1 where there is none.

    All annotators count, those too who named none of the labels.

    Raises:
        ConfigError: FER+ has no votes for a label.
    """
    counts = _counts(votes, names)
    most = counts.argmax(1)
    clear = 2 * counts.max(1) > votes.sum(1, dtype=np.int64)
    return np.where(clear, most, -1)


def soft_labels(
    labels: NDArray[np.uint8], votes: Votes, names: Sequence[str], weight: float, target: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Mix each face's own label with its votes.

    Args:
        labels: uint8 [n], indices into `names`.
        votes: uint8 [n, 10].
        names: The labels.
        weight: Of the votes, from 0 to 1; the rest is the label's.
        target: What the votes stand for: "distribution", their shares, or "majority", all for its label.

    Returns:
        The mixtures, float32 [n, len(names)], and which faces have votes to mix, bool [n]: a face without
        votes for `names`, or without a majority, has none.

    Raises:
        ConfigError: FER+ has no votes for a label.
    """
    own = np.eye(len(names), dtype=np.float32)[labels]
    if target == "majority":
        clear = majority(votes, names)
        shares = np.where(clear[:, None] >= 0, np.eye(len(names), dtype=np.float32)[clear], 0)
    else:
        shares = distribution(votes, names)
    return (1 - np.float32(weight)) * own + np.float32(weight) * shares, shares.sum(1) > 0
