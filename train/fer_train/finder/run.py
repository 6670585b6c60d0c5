"""One training run of the face finder, stage by stage; a stage that is in the folder is not made again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.vision.library import opencv
from fer_train import checkpoint
from fer_train.data import load_dataset
from fer_train.finder import mining
from fer_train.finder.amounts import Amounts
from fer_train.finder.backgrounds import read_backgrounds
from fer_train.finder.composites import ABSENT, MOST, Composer, Composites
from fer_train.finder.descent import Network
from fer_train.finder.detector_training import train_detector
from fer_train.finder.verifier_training import Crops, faces_as_crops, train_verifier
from fer_train.models import face_detector, face_verifier

LOG = logging.getLogger(__name__)
SMALL, LARGE = 160, face_detector.SIDE
HARD = -3.0  # logit of a face over another from which on a crop without one is shown more often
Pictures = list[NDArray[np.uint8]]


def train_finder(data: Path, backgrounds: Path, output: Path, amounts: Amounts) -> None:
    """Train a detector and a verifier; leave them as checkpoints in `output`/detector and `output`/verifier.

    Args:
        data: FER2013, as `fer_train.data.load_dataset` takes it; its split Training gives the faces.
        backgrounds: Folder of pictures without faces.
        output: Folder of the run. A run that was interrupted goes on after the last stage that was finished.
        amounts: How much of everything.

    Raises:
        DataError: there are no faces, or no backgrounds.
    """
    opencv().setNumThreads(1)
    output.mkdir(parents=True, exist_ok=True)
    faces, _ = load_dataset(data).split("Training")
    run = _Run(faces, read_backgrounds(backgrounds), output, amounts)
    first = run.first_detector()
    hard = run.hard_backgrounds(first)
    detector = run.second_detector(first, hard)
    run.verifiers(detector, hard)


@dataclass(slots=True)
class _Run:
    faces: NDArray[np.uint8]
    pictures: Pictures
    output: Path
    amounts: Amounts
    detector_spec: ModelSpec = field(default_factory=lambda: face_detector.ENTRIES["face_detector"].spec)
    verifier_spec: ModelSpec = field(default_factory=lambda: face_verifier.ENTRIES["face_verifier"].spec)

    def first_detector(self) -> face_detector.FaceDetector:
        """Return a detector trained on composites over the backgrounds."""

        def train() -> face_detector.FaceDetector:
            small, large = self._composites("first", self.pictures, self.amounts.seed)
            pools = [(small, 1 - self.amounts.large_share), (large, self.amounts.large_share)]
            return train_detector(pools, self.detector_spec, self.amounts.first_steps, self.amounts.seed)

        return self._network("first-detector", self.detector_spec, train)

    def hard_backgrounds(self, detector: face_detector.FaceDetector) -> NDArray[np.uint8]:
        """Return parts of the backgrounds that the detector takes for faces, uint8 [n, 160, 160]."""
        return self._array(
            "hard-backgrounds",
            lambda: mining.false_finds(detector, self.pictures, self.amounts.false_views, self._rng(1)),
        )

    def second_detector(
        self, start: face_detector.FaceDetector, hard: NDArray[np.uint8]
    ) -> face_detector.FaceDetector:
        """Return the detector after a second round, which also has what it took for faces."""

        def train() -> face_detector.FaceDetector:
            small, large = self._composites("second", self._with_hard(hard), self.amounts.seed + 1)
            absent = Composites(hard, np.full((len(hard), MOST, 5), ABSENT, np.float32))
            share = self.amounts.false_share if len(hard) else 0.0
            rest = 1 - share
            pools = [
                (small, rest * (1 - self.amounts.large_share)),
                (large, rest * self.amounts.large_share),
                *([(absent, share)] if share else []),
            ]
            return train_detector(
                pools, self.detector_spec, self.amounts.second_steps, self.amounts.seed + 1, start
            )

        return self._network("detector", self.detector_spec, train)

    def verifiers(self, detector: face_detector.FaceDetector, hard: NDArray[np.uint8]) -> None:
        """Train the verifier in two rounds, the second with what the first took for faces."""
        crops = self._crops(detector, hard)

        def first() -> face_verifier.FaceVerifier:
            none = np.empty((0, face_verifier.SIDE, face_verifier.SIDE), np.uint8)
            return train_verifier(
                crops, none, self.verifier_spec, self.amounts.verifier_steps, self.amounts.seed + 2
            )

        verifier = self._network("first-verifier", self.verifier_spec, first)

        def second() -> face_verifier.FaceVerifier:
            more = mining.crops_without_faces(detector, self.pictures, self.amounts.hard_views, self._rng(4))
            wrong = mining.hardest(verifier, np.concatenate([crops.images[~crops.faces], more]), HARD)
            LOG.info("verifier: %d hard crops", len(wrong))
            return train_verifier(
                crops, wrong, self.verifier_spec, self.amounts.hard_steps, self.amounts.seed + 3, verifier
            )

        self._network("verifier", self.verifier_spec, second)

    def _crops(self, detector: face_detector.FaceDetector, hard: NDArray[np.uint8]) -> Crops:
        path = self.output / "crops.npz"
        if path.exists():
            with np.load(path) as stored:
                return Crops(stored["images"], stored["faces"])
        rng, share = self._rng(3), self.amounts.verifier_pictures
        pools = []
        for pool in self._composites("second", self._with_hard(hard), self.amounts.seed + 1):
            count = int(len(pool.images) * share)
            pools.append(Composites(pool.images[:count], pool.boxes[:count]))
        found = mining.crops_of_composites(detector, pools, rng)
        others = mining.crops_without_faces(detector, self.pictures, self.amounts.verifier_views, rng)
        some = rng.permutation(len(self.faces))[: self.amounts.verifier_faces]
        own = faces_as_crops(self.faces[some], rng)
        images = np.concatenate([found.images, others, own])
        faces = np.concatenate([found.faces, np.zeros(len(others), np.bool_), np.ones(len(own), np.bool_)])
        LOG.info("verifier: %d crops, %d of them faces", len(images), faces.sum())
        np.savez(path, images=images, faces=faces)
        return Crops(images, faces)

    def _composites(self, name: str, pictures: Pictures, seed: int) -> tuple[Composites, Composites]:
        """Return composites of 160x160 and of 288x288."""
        amounts, pools = self.amounts, []
        plan = (
            (SMALL, amounts.small_pictures, amounts.small_faces),
            (LARGE, amounts.large_pictures, amounts.large_faces),
        )
        for side, count, sizes in plan:
            path = self.output / f"{name}-{side}.npz"
            if not path.exists():
                LOG.info("composing %d pictures of %dx%d", count, side, side)
                composer = Composer(self.faces, pictures, np.random.default_rng([seed, side]))
                made = composer.compose(count, side, *sizes)
                np.savez(path, images=made.images, boxes=made.boxes)
            with np.load(path) as stored:
                pools.append(Composites(stored["images"], stored["boxes"]))
        return pools[0], pools[1]

    def _with_hard(self, hard: NDArray[np.uint8]) -> Pictures:
        """Return the backgrounds, and among them a fifth of what the detector took for faces."""
        return [*self.pictures, *hard[: len(self.pictures) // 4]]

    def _network(self, name: str, spec: ModelSpec, train: Callable[[], Network]) -> Network:
        folder = self.output / name
        if not folder.exists():
            checkpoint.save(folder, train(), spec)
        return cast("Network", checkpoint.load(folder)[0])

    def _array(self, name: str, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        path = self.output / f"{name}.npy"
        if not path.exists():
            np.save(path, make())
        stored: NDArray[np.uint8] = np.load(path)
        return stored

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.amounts.seed, stream])
