"""Labelled faces in memory, with their splits."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import EXPRESSIONS, ModelSpec
from fer_engine.errors import DataError
from fer_train.data.votes import check_votes, distribution, majority
from fer_train.sampling import hold_out

SIDE = 48
SPLITS = ("Training", "PublicTest", "PrivateTest")
VALIDATION_SHARE = 0.1  # of faces that come without splits
OUTPUTS = {"classification": "logits", "regression": "affect"}  # the output's name, by task
# Goodfellow et al., "Challenges in Representation Learning", 2013.
PUBLISHED_COUNTS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Faces, their labels and their splits.

    `images` is uint8 [n, height, width], or RGB [n, height, width, 3]; `labels` is uint8 [n], an index
    into `names`, or float32 [n, len(names)], one value for each name; `usage` is str [n], one of
    `SPLITS`: what trains, what chooses the checkpoint, and what is kept for the end. `source` names where
    they came from and opens every error text. `votes` is uint8 [n, 10], FER+'s votes for each face in the
    order of `fer_train.data.votes.COLUMNS`, or None.

    Raises:
        DataError: an array has another shape, type or range.
    """

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    usage: NDArray[np.str_]
    source: str
    names: tuple[str, ...] = EXPRESSIONS
    votes: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        shape = self.images.shape
        n = shape[0] if shape else 0
        if self.images.dtype != np.uint8 or len(shape) not in (3, 4) or shape[3:] not in ((), (3,)):
            raise DataError(
                f"{self.source}: array 'images' is {self.images.dtype} {list(shape)}, expected uint8 "
                "[n, height, width] or [n, height, width, 3]"
            )
        if self.labels.dtype == np.float32:
            self._expect("labels", self.labels, "float32", (n, len(self.names)))
        else:
            self._expect("labels", self.labels, "uint8", (n,))
        self._expect("usage", self.usage, "str", (n,))
        if n == 0:
            raise DataError(f"{self.source}: holds no images; expected at least one")
        self._check_labels()
        if self.votes is not None:
            check_votes(self.votes, n, self.source)
            distribution(self.votes[:0], self.names)  # which refuses labels that FER+ has no votes for
        unknown = sorted(set(np.unique(self.usage).tolist()) - set(SPLITS))
        if unknown:
            raise DataError(f"{self.source}: unknown usage {unknown[0]!r}, expected {', '.join(SPLITS)}")

    def _check_labels(self) -> None:
        if self.task == "regression":
            wrong = np.flatnonzero(~np.isfinite(self.labels).all(1))
            expected = "finite values"
        else:
            wrong = np.flatnonzero(self.labels >= len(self.names))
            expected = f"0 to {len(self.names) - 1} ({', '.join(self.names)})"
        if len(wrong):
            raise DataError(
                f"{self.source}: label {self.labels[wrong[0]]} at index {wrong[0]}, expected {expected}"
            )

    @classmethod
    def split_off(
        cls, images: NDArray[np.uint8], labels: NDArray[Any], source: str, names: tuple[str, ...]
    ) -> Dataset:
        """Make a dataset of faces that come without splits: a stratified tenth is for validation."""
        held = hold_out(labels, VALIDATION_SHARE, seed=0)
        return cls(images, labels, np.where(held, SPLITS[1], SPLITS[0]), source, names)

    @property
    def task(self) -> str:
        """The task that the labels are for; see `ModelSpec`."""
        return "regression" if self.labels.dtype == np.float32 else "classification"

    def describe(self, spec: ModelSpec) -> ModelSpec:
        """Return `spec` with the task and labels of this data."""
        return dataclasses.replace(spec, labels=self.names, task=self.task, output=OUTPUTS[self.task])

    def __len__(self) -> int:
        return len(self.images)

    def split(self, name: str) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """Return the faces and labels of one split, as the dataset holds them.

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

    def split_votes(self, name: str) -> NDArray[np.uint8] | None:
        """Return the votes for the faces of one split, uint8 [n, 10]; None where there are none."""
        return None if self.votes is None else self.votes[self.usage == name]

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over every face with its label and split, in whatever order they are held."""
        named = "" if self.names == EXPRESSIONS else f"{self.names},"
        votes = [b""] * len(self) if self.votes is None else [row.tobytes() for row in self.votes]
        digests = sorted(
            hashlib.sha256(f"{named}{usage},{label},".encode() + image.tobytes() + cast).digest()
            for usage, label, image, cast in zip(
                self.usage.tolist(), self.labels.tolist(), self.images, votes, strict=True
            )
        )
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def is_published(self, split: str) -> bool:
        """Tell whether a split has FER2013's labels and number of faces."""
        return self.names == EXPRESSIONS and int((self.usage == split).sum()) == PUBLISHED_COUNTS[split]

    def report(self) -> str:
        """Describe the set as plain text: counts by split and class, or means; repeated images."""
        height, width = self.images.shape[1:3]
        size = f"{len(self)} images of {width}x{height}"
        lines = [f"{self.source}: {size}, fingerprint {self.fingerprint[:16]}"]
        width = self._width
        lines.append(f"{'':12}" + "".join(f"{name:>{width}}" for name in (*self.names, "all")))
        images: dict[str, Counter[bytes]] = {}
        known = any(self.is_published(name) for name in SPLITS)
        for name in SPLITS:
            chosen = self.usage == name
            total = int(chosen.sum())
            published = PUBLISHED_COUNTS[name]
            note = "" if not known or total in (0, published) else f"  (published: {published})"
            lines.append(f"{name:12}{self._columns(self.labels[chosen])}{total:{width}}{note}")
            digests = (hashlib.sha256(image.tobytes()).digest() for image in self.images[chosen])
            images[name] = Counter(digests)
        for name, held in images.items():
            lines.append(f"repeated within {name}: {held.total() - len(held)}")
        for first, second in combinations(SPLITS, 2):
            shared = sum(count for image, count in images[second].items() if image in images[first])
            lines.append(f"images of {second} that {first} holds too: {shared}")
        return "\n".join([*lines, *self._vote_lines()])

    def _vote_lines(self) -> list[str]:
        """Count for each split the faces with votes, and those of them whose majority is the label."""
        if self.votes is None:
            return []
        lines = []
        for name in np.unique(self.usage).tolist():
            chosen = self.usage == name
            votes, labels = self.votes[chosen], self.labels[chosen]
            voted, clear = distribution(votes, self.names).sum(1) > 0, majority(votes, self.names)
            same = int((clear == labels).sum())
            lines.append(
                f"votes of {name}: {int(voted.sum())} faces have some, {int((~voted).sum())} none; "
                f"{int((clear >= 0).sum())} have a majority, which is the label of {same}"
            )
        return lines

    def _columns(self, labels: NDArray[Any]) -> str:
        """Render how often each class occurs, or the mean of each value."""
        if self.task == "classification":
            counts = np.bincount(labels, minlength=len(self.names))
            return "".join(f"{count:{self._width}}" for count in counts.tolist())
        means = labels.mean(0) if len(labels) else np.full(len(self.names), np.nan)
        return "".join(f"{mean:{self._width}.3f}" for mean in means)

    @property
    def _width(self) -> int:
        return max(8, *map(len, self.names)) + 2

    def _expect(self, name: str, array: NDArray[np.generic], kind: str, shape: tuple[int, ...]) -> None:
        got = "str" if array.dtype.kind == "U" else str(array.dtype)
        if got != kind or array.shape != shape:
            raise DataError(
                f"{self.source}: array {name!r} is {got} {list(array.shape)}, expected {kind} {list(shape)}"
            )
