"""Labelled faces in memory, with their official splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError
from fer_engine.spec import EXPRESSIONS

SIDE = 48
SPLITS = ("Training", "PublicTest", "PrivateTest")
# Goodfellow et al., "Challenges in Representation Learning", 2013.
PUBLISHED_COUNTS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Faces, their labels and their splits.

    `images` is uint8 [n, 48, 48]; `labels` is uint8 [n], an index into `EXPRESSIONS`; `usage` is
    str [n], one of `SPLITS`. `source` names where they came from and opens every error text.

    Raises:
        DataError: an array has another shape, type or range.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    usage: NDArray[np.str_]
    source: str

    def __post_init__(self) -> None:
        n = len(self.images) if self.images.ndim else 0
        self._expect("images", self.images, "uint8", (n, SIDE, SIDE))
        self._expect("labels", self.labels, "uint8", (n,))
        self._expect("usage", self.usage, "str", (n,))
        if n == 0:
            raise DataError(f"{self.source}: holds no images; expected at least one")
        wrong = np.flatnonzero(self.labels >= len(EXPRESSIONS))
        if len(wrong):
            raise DataError(
                f"{self.source}: label {self.labels[wrong[0]]} at index {wrong[0]}, "
                f"expected 0 to {len(EXPRESSIONS) - 1} ({', '.join(EXPRESSIONS)})"
            )
        unknown = sorted(set(np.unique(self.usage).tolist()) - set(SPLITS))
        if unknown:
            raise DataError(f"{self.source}: unknown usage {unknown[0]!r}, expected {', '.join(SPLITS)}")

    def __len__(self) -> int:
        return len(self.images)

    def split(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the faces, uint8 [n, 48, 48], and labels, uint8 [n], of one split.

        Raises:
            DataError: the split is unknown or empty.
        """
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}, expected {', '.join(SPLITS)}")
        chosen = self.usage == name
        if not chosen.any():
            held = ", ".join(np.unique(self.usage).tolist())
            raise DataError(f"{self.source}: no images of the split {name}; it holds {held}")
        return self.images[chosen], self.labels[chosen]

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over every face with its label and split, in whatever order they are held."""
        digests = sorted(
            hashlib.sha256(b"%s,%d," % (usage.encode(), label) + image.tobytes()).digest()
            for usage, label, image in zip(
                self.usage.tolist(), self.labels.tolist(), self.images, strict=True
            )
        )
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def report(self) -> str:
        """Describe the set as plain text: counts by split and class, repeated images."""
        lines = [f"{self.source}: {len(self)} images of {SIDE}x{SIDE}, fingerprint {self.fingerprint[:16]}"]
        lines.append(f"{'':12}" + "".join(f"{name:>10}" for name in (*EXPRESSIONS, "all")))
        images: dict[str, Counter[bytes]] = {}
        for name in SPLITS:
            chosen = self.usage == name
            total = int(chosen.sum())
            counts = np.bincount(self.labels[chosen], minlength=len(EXPRESSIONS)).tolist()
            note = "" if total in (0, PUBLISHED_COUNTS[name]) else f"  (published: {PUBLISHED_COUNTS[name]})"
            lines.append(f"{name:12}" + "".join(f"{count:10}" for count in (*counts, total)) + note)
            digests = (hashlib.sha256(image.tobytes()).digest() for image in self.images[chosen])
            images[name] = Counter(digests)
        for name, held in images.items():
            lines.append(f"repeated within {name}: {held.total() - len(held)}")
        for first, second in combinations(SPLITS, 2):
            shared = sum(count for image, count in images[second].items() if image in images[first])
            lines.append(f"images of {second} that {first} holds too: {shared}")
        return "\n".join(lines)

    def _expect(self, name: str, array: NDArray[np.generic], kind: str, shape: tuple[int, ...]) -> None:
        got = "str" if array.dtype.kind == "U" else str(array.dtype)
        if got != kind or array.shape != shape:
            raise DataError(
                f"{self.source}: array {name!r} is {got} {list(array.shape)}, expected {kind} {list(shape)}"
            )
