"""The faces that an export is verified on, in the form that its network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import DataError
from fer_engine.vision.resize import fit, resize
from fer_train import synthetic
from fer_train.data import Dataset
from fer_train.data.image_folder import same_label

VERIFIED_SPLIT = "PublicTest"
SYNTHETIC_FACES = 1024  # of 48x48 gray pixels; of larger faces fewer, for they take longer
LEAST_FACES = 256  # leaves an agreement to half a percent
GRAY_PIXELS = 48 * 48
PICTURES = 64  # synthetic ones, for a detection
FACES_ON_EACH = 3
SHARES = (0.08, 0.5)  # least and largest side of these faces, in shorter sides of the picture


@dataclass(frozen=True, slots=True)
class Samples:
    """Faces to verify on, uint8 [n, ...]; labels [n] where there are any; what they are, in words."""

    faces: NDArray[np.uint8]
    labels: NDArray[Any] | None
    source: str


def choose_samples(dataset: Dataset | None, spec: ModelSpec) -> Samples:
    """Return the PublicTest split of a dataset, without one synthetic faces; see the functions below.

    For a detection they are pictures with faces.
    """
    return synthetic_samples(spec) if dataset is None else dataset_samples(dataset, spec, VERIFIED_SPLIT)


def synthetic_samples(spec: ModelSpec, count: int | None = None, seed: int = 0) -> Samples:
    """Return synthetic faces in the form of `spec`, without a `count` fewer of large ones; no labels."""
    if spec.task == "detection":
        return _synthetic_pictures(spec, count or PICTURES, seed)
    if count is None:
        pixels = spec.height * spec.width * spec.channels
        count = max(LEAST_FACES, min(SYNTHETIC_FACES, SYNTHETIC_FACES * GRAY_PIXELS // pixels))
    drawn = synthetic.faces(count, seed=seed)
    source = f"synthetic faces, seed {seed}, n={count}{describe_change(drawn, spec)}"
    return Samples(fit(drawn, spec), None, source)


def _synthetic_pictures(spec: ModelSpec, count: int, seed: int) -> Samples:
    """Return soft random backgrounds with some synthetic faces of several sizes on each."""
    generator = np.random.default_rng(seed)
    height, width = spec.height, spec.width
    coarse = generator.integers(0, 256, (count, 6, 6), np.uint8)
    pictures = np.stack([resize(background, height, width) for background in coarse])
    faces = iter(synthetic.faces(count * FACES_ON_EACH, seed=seed))
    for picture in pictures:
        for _ in range(FACES_ON_EACH):
            share = generator.uniform(*SHARES)  # of the shorter side
            side = round(min(height, width) * share)
            top, left = generator.integers(0, (height - side + 1, width - side + 1))
            picture[top : top + side, left : left + side] = resize(next(faces), side, side)
    return Samples(fit(pictures, spec), None, f"synthetic pictures with faces, seed {seed}, n={count}")


def dataset_samples(dataset: Dataset, spec: ModelSpec, split: str) -> Samples:
    """Return one split of a dataset in the form of `spec`.

    Its labels are left out, which `source` tells, where they are not those of `spec`.

    Raises:
        DataError: there is no such split, or it has one face for a regression.
    """
    faces, labels = dataset.split(split)
    if spec.task == "regression" and len(faces) < 2:
        raise DataError(
            f"{dataset.source}: {split} has {len(faces)} face, expected at least 2: how far values agree "
            "shows in how they vary; give more faces"
        )
    told = f"{name_split(dataset, split)}, n={len(faces)}{describe_change(faces, spec)}"
    if spec.task == "detection":
        return Samples(faces, None, told)
    places = label_places(dataset, spec)
    if places is None:
        return Samples(fit(faces, spec), None, f"{told}, without its labels: {_difference(dataset, spec)}")
    return Samples(fit(faces, spec), labels if spec.task == "regression" else places[labels], told)


def label_places(dataset: Dataset, spec: ModelSpec) -> NDArray[np.uint8] | None:
    """Return which label of `spec` each label of a dataset is, uint8 [labels]; None where it lacks some.

    Names are compared, in any case and in the known spellings of expressions. The values of a regression have
    an order of their own, and must be the same.
    """
    if dataset.task != spec.task or (spec.task == "regression" and dataset.names != spec.labels):
        return None
    labels = [same_label(label) for label in spec.labels]
    places = [labels.index(name) for name in map(same_label, dataset.names) if name in labels]
    return np.array(places, np.uint8) if len(places) == len(dataset.names) else None


def _difference(dataset: Dataset, spec: ModelSpec) -> str:
    """Say in words why a dataset's labels are not those of `spec`."""
    labels = [same_label(label) for label in spec.labels]
    missing = [name for name in dataset.names if same_label(name) not in labels]
    if dataset.task != spec.task or len(missing) in (0, len(dataset.names)):
        return "the network has others"
    return f"the network has no {', '.join(missing)}"


def name_split(dataset: Dataset, split: str) -> str:
    """Return the name of one split of a dataset, for people."""
    return f"{'FER2013' if dataset.is_published(split) else dataset.source} {split}"


def describe_change(faces: NDArray[np.uint8], spec: ModelSpec) -> str:
    """Return what `fer_engine.vision.resize.fit` does to such faces, as an addition to their description."""
    told = ""
    if faces.shape[1:3] != (spec.height, spec.width):
        told += f", resized to {spec.height}x{spec.width}"
    if faces.ndim == 3 and spec.channels == 3:
        told += ", gray as RGB"
    if faces.ndim == 4 and spec.channels == 1:
        told += ", RGB as gray"
    return told
