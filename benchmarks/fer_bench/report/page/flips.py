"""The answers that changed, for the page: grouped by what became what, with faces where there are any."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_bench.record.record import Record

Faces = NDArray[np.uint8]
Flip = tuple[int, int, int]  # a face, the reference's answer, the contender's
SHOWN = 24  # faces a contender: enough to judge, and some 50 kB


@dataclass(frozen=True, slots=True)
class Change:
    """Faces that got `now` instead of `was`; `indices` count from 0 in the faces of the record."""

    was: str
    now: str
    indices: list[int]


@dataclass(frozen=True, slots=True)
class Face:
    """One changed face; `image` is a data URI of a PNG."""

    index: int
    was: str
    now: str
    image: str


@dataclass(frozen=True, slots=True)
class Group:
    """What one contender changed; `changed` counts also what the record does not list."""

    contender: str
    changed: int
    listed: int
    total: int
    changes: list[Change]
    faces: list[Face]


def groups(record: Record, faces: Faces | None) -> list[Group]:
    """Return a group for each contender with flips."""
    labels = record.artifact.labels
    return [
        Group(
            contender=name,
            changed=parity.changed,
            listed=len(parity.flips),
            total=parity.faces,
            changes=_changes(parity.flips, labels),
            faces=[] if faces is None else [_face(flip, labels, faces) for flip in parity.flips[:SHOWN]],
        )
        for name, parity in record.parity.items()
        if parity.flips
    ]


def _changes(flips: Sequence[Flip], labels: Sequence[str]) -> list[Change]:
    """Return the changes, the most frequent first."""

    def answers(flip: Flip) -> tuple[int, ...]:
        return flip[1:]

    found = [
        Change(labels[was], labels[now], [flip[0] for flip in same])
        for (was, now), same in groupby(sorted(flips, key=answers), key=answers)
    ]
    return sorted(found, key=lambda change: -len(change.indices))


def _face(flip: Flip, labels: Sequence[str], faces: Faces) -> Face:
    index, was, now = flip
    # OpenCV takes colours as BGR; a gray face has no such axis.
    face = faces[index][..., ::-1] if faces.ndim == 4 else faces[index]
    _, png = cv2.imencode(".png", face)
    image = "data:image/png;base64," + base64.b64encode(png.tobytes()).decode("ascii")
    return Face(index, labels[was], labels[now], image)
