"""The faces that are measured on, and how a record calls them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fer_engine.spec import ModelSpec

SYNTHETIC_FACES = 1_024
SYNTHETIC_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Faces, uint8 [n, h, w] or [n, h, w, 3], and their labels [n], or None where they have none."""

    description: str
    faces: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None

    def fit(self, spec: ModelSpec) -> Inputs:
        """Return the inputs in the form that a network takes, and without labels that are not its own.

        The description tells what was changed.
        """
        from fer_engine.spec import EXPRESSIONS
        from fer_export import samples
        from fer_train.resize import fit

        description = self.description + samples.change(self.faces, spec)
        labels = self.labels
        if labels is not None and spec.labels != EXPRESSIONS:
            description, labels = f"{description}, without labels: the network has others", None
        return Inputs(description, fit(self.faces, spec), labels)

    def to_json(self) -> dict[str, Any]:
        return {
            "description": self.description,
            "faces": len(self.faces),
            "labelled": self.labels is not None,
            "sha256": hashlib.sha256(np.ascontiguousarray(self.faces).tobytes()).hexdigest(),
        }


def synthetic() -> Inputs:
    """Return the faces that ship with the package: they need no dataset and have no labels."""
    from fer_train import synthetic as synthesis

    faces = synthesis.faces(SYNTHETIC_FACES, seed=SYNTHETIC_SEED)
    return Inputs(f"synthetic faces, seed {SYNTHETIC_SEED}, n={len(faces)}", faces, None)


def of_dataset(path: Path, split: str) -> Inputs:
    """Return one split of a dataset in any form that `fer_train.data.load` reads.

    Raises:
        DataError: the dataset cannot be read, or has no such split.
    """
    from fer_train import data

    faces, labels = data.load(path).split(split)
    return Inputs(f"FER2013 {split}, n={len(faces)}", faces, labels)
