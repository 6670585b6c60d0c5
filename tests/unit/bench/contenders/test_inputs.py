"""The faces that are measured on: in the form of the network, with labels where they are its own."""

import cv2
import numpy as np
import pytest

from fer_bench.contenders import inputs
from fer_engine.artifact.spec import EXPRESSIONS, ModelSpec
from fer_engine.errors import ConfigError, DataError
from fer_train.data import bitmoji
from fer_train.data.votes import COLUMNS

COLOUR = {"channels": 3, "mean": (0.0,) * 3, "scale": (1.0,) * 3}


@pytest.fixture
def bitmojis(tmp_path):
    """Twenty images with other labels than FER2013's; a tenth is for validation."""
    rows = [",".join(bitmoji.COLUMNS)]
    for index in range(20):
        image = np.full((120, 120, 3), index, np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), image)
        rows.append(f"{index}.png,{1 if index % 2 else -1}")
    path = tmp_path / "train.csv"
    path.write_text("\n".join(rows))
    return path


def test_other_labels_than_the_networks_are_not_compared(bitmojis):
    found = inputs.dataset_inputs(bitmojis, "PublicTest", ModelSpec("net"))
    assert found.labels is None
    assert found.description == "train.csv PublicTest, n=2, without its labels: the network has others"


def test_images_are_read_in_the_form_of_the_network(bitmojis):
    spec = ModelSpec("net", labels=bitmoji.LABELS, height=96, width=96, **COLOUR)
    found = inputs.dataset_inputs(bitmojis, "PublicTest", spec)
    assert found.faces.shape == (2, 96, 96, 3)
    assert found.labels.tolist() == [int(face.mean()) % 2 for face in found.faces]
    assert found.description == "train.csv PublicTest, n=2"


def test_images_may_lie_in_another_folder_than_the_csv(bitmojis, tmp_path):
    moved = tmp_path / "csv" / "train.csv"
    moved.parent.mkdir()
    bitmojis.rename(moved)
    spec = ModelSpec("net", labels=bitmoji.LABELS, height=96, width=96, **COLOUR)
    assert len(inputs.dataset_inputs(moved, "PublicTest", spec, images=tmp_path).faces) == 2


def test_synthetic_faces_take_the_form_of_the_network(monkeypatch):
    monkeypatch.setattr(inputs, "SYNTHETIC_FACES", 4)
    found = inputs.synthetic_inputs(ModelSpec("net", height=24, width=24, **COLOUR))
    assert found.faces.shape == (4, 24, 24, 3)
    assert found.description == "synthetic faces, seed 0, n=4, resized to 24x24, gray as RGB"
    assert found.labels is None


VOTES = np.zeros((4, len(COLUMNS)), np.uint8)
VOTES[:, COLUMNS.index("sadness")] = (10, 9, 6, 5)
VOTES[:, COLUMNS.index("neutral")] = (0, 1, 4, 5)


def fer2013(tmp_path, **arrays):
    """Four faces in the form of FER2013, of which the last two are PublicTest."""
    path = tmp_path / "fer2013.npz"
    usage = np.array(["Training", "Training", "PublicTest", "PublicTest"])
    np.savez(
        path,
        images=np.zeros((4, 48, 48), np.uint8),
        labels=np.arange(4, dtype=np.uint8),
        usage=usage,
        **arrays,
    )
    return path


def votes_csv(tmp_path):
    lines = [",".join(("Usage", "Image name", *COLUMNS))]
    lines += [
        ",".join((usage, "face.png", *map(str, row)))
        for usage, row in zip(["Training"] * 2 + ["PublicTest"] * 2, VOTES, strict=True)
    ]
    path = tmp_path / "fer2013new.csv"
    path.write_text("\n".join(lines))
    return path


def test_votes_are_those_of_the_split_from_a_file_or_from_the_data(tmp_path):
    spec = ModelSpec("net")
    within = inputs.dataset_inputs(fer2013(tmp_path, votes=VOTES), "PublicTest", spec)
    beside = inputs.dataset_inputs(fer2013(tmp_path), "PublicTest", spec, votes=votes_csv(tmp_path))
    for found in (within, beside):
        assert found.votes.tolist() == VOTES[2:].tolist()
        assert found.names == EXPRESSIONS
    assert within.described() == beside.described()
    without = inputs.dataset_inputs(fer2013(tmp_path), "PublicTest", spec)
    assert without.votes is without.described().votes_sha256 is None


def test_the_record_names_the_votes_by_their_bytes(tmp_path):
    first = inputs.dataset_inputs(fer2013(tmp_path, votes=VOTES), "PublicTest", ModelSpec("net"))
    other = VOTES.copy()
    other[2] = other[0]
    second = inputs.dataset_inputs(fer2013(tmp_path, votes=other), "PublicTest", ModelSpec("net"))
    assert first.described().sha256 == second.described().sha256
    assert first.described().votes_sha256 != second.described().votes_sha256


def test_votes_go_with_the_labels_of_the_network(tmp_path):
    path, other = fer2013(tmp_path, votes=VOTES), ModelSpec("net", labels=("calm", "sad"))
    assert inputs.dataset_inputs(path, "PublicTest", other).votes is None
    with pytest.raises(
        ConfigError, match=r"--votes goes with the labels angry.*those of the network are calm"
    ):
        inputs.dataset_inputs(path, "PublicTest", other, votes=votes_csv(tmp_path))


def test_votes_without_a_majority_in_the_split_are_refused(tmp_path):
    split = VOTES.copy()
    split[2:] = split[3]
    with pytest.raises(DataError, match=r"fer2013.npz: no face of PublicTest has a majority of votes"):
        inputs.dataset_inputs(fer2013(tmp_path, votes=split), "PublicTest", ModelSpec("net"))


def test_votes_for_a_set_without_rows_are_refused(bitmojis, tmp_path):
    spec = ModelSpec("net", labels=bitmoji.LABELS)
    with pytest.raises(ConfigError, match="--votes goes with FER2013's csv or npz"):
        inputs.dataset_inputs(bitmojis, "PublicTest", spec, votes=votes_csv(tmp_path))
