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
from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError, DataError

if TYPE_CHECKING:
    from fer_engine.artifact.spec import ModelSpec

SYNTHETIC_FACES = 1_024
SYNTHETIC_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Faces in the form of a network, uint8 [n, h, w] or [n, h, w, 3], and their labels [n].

    `labels` is None where the faces have none, or where they are not the network's; `description` says so.
    `votes` are FER+'s, uint8 [n, 10] in the order of `fer_train.data.votes.COLUMNS`, or None; they go with
    labels. `names` are the labels' names.
    """

    description: str
    faces: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    votes: NDArray[np.uint8] | None = None
    names: tuple[str, ...] = EXPRESSIONS

    def described(self) -> MeasuredFaces:
        """Return what a record says of the faces."""
        return MeasuredFaces(
            self.description,
            len(self.faces),
            self.labels is not None,
            _sha256(self.faces),
            None if self.votes is None else _sha256(self.votes),
        )


def _sha256(array: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


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
    votes: Path | None = None,
) -> Inputs:
    """Return one split of a dataset in any form that `fer_train.data.load_dataset` reads.

    `label_names` are the labels of your own dataset, None for the labels that its form implies. `images` is
    the folder of the images that a csv names, None for the folder of the csv. `votes` is a file of FER+'s
    votes for the dataset, None for those that the dataset holds itself, if it does. Votes are left out with
    labels that are not the network's.

    Raises:
        ConfigError: a dataset of this form cannot have other labels or votes, or `votes` were named and are
            not for the network's labels.
        DataError: the dataset or its votes cannot be read, it has no such split, or no face of the split has
            a majority of votes.
    """
    from fer_export.verify import samples
    from fer_train import data
    from fer_train.data.image_folder import same_label
    from fer_train.data.votes import majority

    dataset = data.load_dataset(
        path, names=label_names, images=images, face_shape=spec.face_shape, votes=votes
    )
    found = samples.dataset_samples(dataset, spec, split)
    if found.labels is None:
        if votes is not None:
            raise ConfigError(
                f"--votes goes with the labels {', '.join(dataset.names)}, but those of the network are "
                f"{', '.join(spec.labels)}; name the network's labels with --labels, or leave out --votes"
            )
        return Inputs(found.source, found.faces, None)
    cast = dataset.split_votes(split)
    if cast is not None and not (majority(cast, dataset.names) >= 0).any():
        raise DataError(
            f"{votes or path}: no face of {split} has a majority of votes; give the votes for this split, or "
            "data without votes"
        )
    # In the network's order, and in the spelling that the votes have.
    spelled = {same_label(name): name for name in dataset.names}
    names = tuple(spelled.get(same_label(label), label) for label in spec.labels)
    return Inputs(found.source, found.faces, found.labels, cast, names)
