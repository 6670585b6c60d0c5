"""The faces that are measured on: in the form of the network, with labels where they are its own."""

import cv2
import numpy as np
import pytest

from fer_bench.contenders import inputs
from fer_engine.artifact.spec import ModelSpec
from fer_train.data import bitmoji

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
