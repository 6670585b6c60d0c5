"""The faces that contenders are measured on, synthetic or of a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_bench.record.record import MeasuredFaces

if TYPE_CHECKING:
    from fer_engine.artifact.spec import ModelSpec

SYNTHETIC_FACES = 1_024
SYNTHETIC_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Faces in the form of a network, uint8 [n, h, w] or [n, h, w, 3], and their labels [n].

    `labels` is None where the faces have none, or where they are not the network's; `description` says so.
    """

    description: str
    faces: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None

    def described(self) -> MeasuredFaces:
        """Return what a record says of the faces."""
        sha256 = hashlib.sha256(np.ascontiguousarray(self.faces).tobytes()).hexdigest()
        return MeasuredFaces(self.description, len(self.faces), self.labels is not None, sha256)


def synthetic_inputs(spec: ModelSpec) -> Inputs:
    """Return the faces that ship with the package: they need no dataset and have no labels."""
    from fer_export.verify import samples

    found = samples.synthetic_samples(spec, SYNTHETIC_FACES, SYNTHETIC_SEED)
    return Inputs(found.source, found.faces, None)


def dataset_inputs(
    path: Path,
    split: str,
    spec: ModelSpec,
    label_names: Sequence[str] | None = None,
    images: Path | None = None,
) -> Inputs:
    """Return one split of a dataset in any form that `fer_train.data.load_dataset` reads.

    `label_names` are the labels of your own dataset, None for the labels that its form implies. `images` is
    the folder of the images that a csv names, None for the folder of the csv.

    Raises:
        ConfigError: a dataset of this form cannot have other labels.
        DataError: the dataset cannot be read, or has no such split.
    """
    from fer_export.verify import samples
    from fer_train import data

    dataset = data.load_dataset(path, names=label_names, images=images, face_shape=spec.face_shape)
    found = samples.dataset_samples(dataset, spec, split)
    return Inputs(found.source, found.faces, found.labels)
