"""Faces in the form of any network: resized, gray as RGB, and told so."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import DataError
from fer_export.verify import samples
from fer_train import synthetic
from fer_train.data import Dataset

OWN = ("calm", "tense")


def spec(height: int = 48, width: int = 48, channels: int = 1, **fields) -> ModelSpec:
    return ModelSpec(
        "net",
        height=height,
        width=width,
        channels=channels,
        mean=(0.0,) * channels,
        scale=(1.0,) * channels,
        **fields,
    )


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (14, 48, 48), dtype=np.uint8)
    return Dataset(images, (np.arange(14) % 7).astype(np.uint8), np.full(14, "PublicTest"), "noise")


def test_faces_that_fit_are_told_as_they_are(dataset):
    assert samples.describe_change(dataset.images, spec()) == ""


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(64, 40, 1), (24, 24, 3), (48, 48, 3), (96, 96, 3)]
)
def test_faces_get_the_size_and_channels_of_the_network(height, width, channels):
    wanted = spec(height, width, channels)
    found = samples.synthetic_samples(wanted)
    assert found.faces.shape[1:] == wanted.face_shape
    assert found.faces.dtype == np.uint8
    assert found.labels is None
    assert ("resized" in found.source) == ((height, width) != (48, 48))
    assert ("gray as RGB" in found.source) == (channels == 3)
    if channels == 3:
        np.testing.assert_array_equal(found.faces[..., 0], found.faces[..., 2])
    assert samples.LEAST_FACES <= len(found.faces) <= samples.SYNTHETIC_FACES
    assert f"n={len(found.faces)}" in found.source


def test_the_faces_of_mini_xception_are_those_of_the_generator():
    np.testing.assert_array_equal(samples.synthetic_samples(spec()).faces, synthetic.faces(1024, seed=0))


def test_labels_count_where_they_are_the_networks_own(dataset):
    ours = samples.dataset_samples(dataset, spec(), "PublicTest")
    assert (ours.source, list(ours.labels)) == ("noise PublicTest, n=14", list(dataset.labels))
    others = samples.dataset_samples(dataset, spec(64, labels=OWN), "PublicTest")
    assert others.labels is None
    assert others.source == (
        "noise PublicTest, n=14, resized to 64x48, without its labels: the network has others"
    )


def test_labels_are_compared_by_name_whatever_their_order_case_and_spelling(dataset):
    others = ("Contempt", "Sadness", "neutral", "fear", "Happiness", "anger", "surprised", "disgust")
    found = samples.dataset_samples(dataset, spec(labels=others), "PublicTest")
    known = ["anger", "disgust", "fear", "Happiness", "Sadness", "surprised", "neutral"]  # FER2013's order
    assert [others[label] for label in found.labels] == [known[label] for label in dataset.labels]
    assert found.source == "noise PublicTest, n=14"


def test_labels_that_the_network_lacks_are_named(dataset):
    some = ("angry", "fear", "happy", "sad", "neutral")
    found = samples.dataset_samples(dataset, spec(labels=some), "PublicTest")
    assert found.labels is None
    assert found.source.endswith("without its labels: the network has no disgust, surprise")


def test_only_as_many_faces_as_were_published_are_called_fer2013():
    usage = np.repeat(["Training", "PublicTest"], [3589, 3589])
    faces, labels = np.zeros((len(usage), 1, 1), np.uint8), np.zeros(len(usage), np.uint8)
    same = Dataset(faces, labels, usage, "fer2013.npz")
    assert samples.name_split(same, "PublicTest") == "FER2013 PublicTest"
    assert samples.name_split(same, "Training") == "fer2013.npz Training"


def test_data_of_ones_own_is_called_by_its_name(dataset):
    own = Dataset(dataset.images, (np.arange(14) % 2).astype(np.uint8), dataset.usage, "mine.npz", OWN)
    found = samples.dataset_samples(own, spec(labels=OWN), "PublicTest")
    assert (found.source, list(found.labels)) == ("mine.npz PublicTest, n=14", list(own.labels))


def test_a_regression_on_one_face_is_refused():
    labels = np.zeros((1, 1), np.float32)
    single = Dataset(np.zeros((1, 48, 48), np.uint8), labels, np.array(["PublicTest"]), "one", ("arousal",))
    with pytest.raises(DataError, match="one: PublicTest has 1 face, expected at least 2"):
        samples.dataset_samples(single, spec(labels=("arousal",), task="regression"), "PublicTest")


def test_a_detector_gets_pictures_with_faces():
    detector = spec(96, 64, labels=("face",), task="detection")
    found = samples.synthetic_samples(detector, count=3)
    assert (found.faces.shape, found.faces.dtype) == ((3, 96, 64), np.uint8)
    assert (found.labels, found.source) == (None, "synthetic pictures with faces, seed 0, n=3")
    np.testing.assert_array_equal(found.faces, samples.synthetic_samples(detector, count=3).faces)
    assert len(samples.synthetic_samples(detector).faces) == samples.PICTURES


def test_pictures_of_ones_own_are_told_without_a_word_on_labels():
    detector = spec(32, 32, labels=("face",), task="detection")
    images = np.zeros((20, 32, 32), np.uint8)
    pictures = Dataset.split_off(images, np.zeros(20, np.uint8), "mine.npz", ("face",))
    found = samples.dataset_samples(pictures, detector, "PublicTest")
    assert (found.source, found.labels) == ("mine.npz PublicTest, n=2", None)
