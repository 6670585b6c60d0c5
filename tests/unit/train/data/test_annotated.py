"""The csvs of AffectNet and Bitmoji, and folders with labels of one's own, in small generated files."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, DataError
from fer_engine.vision.crop import crop_faces
from fer_train.data import load_dataset

AFFECTNET = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
COUNT = 40


def picture(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def affectnet(root: Path, *extra: str) -> Path:
    """Write 40 images of 60x80, whose face is a bright box at (10, 20) of 30x30, and a csv that says so."""
    lines = [AFFECTNET]
    for index in range(COUNT):
        image = np.zeros((80, 60, 3), np.uint8)
        image[20:50, 10:40] = (200, 100, 40)
        picture(root / "images" / str(index % 3) / f"{index}.png", image)
        value = -1 + 2 * index / (COUNT - 1)
        lines.append(f"{index % 3}/{index}.png,10,20,30,30,1.5;2.5,0,{value:.4f},{-value:.4f}")
    path = root / "training.csv"
    path.write_text("\n".join([*lines, *extra]) + "\n")
    return path


def test_affectnet_s_faces_are_cut_out_by_their_boxes(tmp_path):
    path = affectnet(tmp_path)
    dataset = load_dataset(path, images=tmp_path / "images", face_shape=(48, 48, 3))
    assert (dataset.images.shape, dataset.task) == ((COUNT, 48, 48, 3), "regression")
    assert (dataset.images == (200, 100, 40)).all()
    assert dataset.names == ("valence", "arousal")
    np.testing.assert_allclose(dataset.labels[:, 0], np.linspace(-1, 1, COUNT), atol=1e-4)
    np.testing.assert_allclose(dataset.labels[:, 1], -dataset.labels[:, 0])
    gray = load_dataset(path, images=tmp_path / "images", names=["arousal"])
    assert gray.images.shape == (COUNT, 48, 48)
    np.testing.assert_array_equal(gray.labels, dataset.labels[:, 1:])
    assert "arousal" in gray.report().splitlines()[1]


def test_a_tenth_is_validated_on_spread_over_the_intervals_of_the_values(tmp_path):
    dataset = load_dataset(affectnet(tmp_path), images=tmp_path / "images", names=["valence"])
    _, held = dataset.split("PublicTest")
    cells = np.clip((held[:, 0] + 1) / 2 * 10, 0, 9).astype(int)
    assert len(cells) == len(set(cells.tolist())) == COUNT // 10


def test_rows_without_annotation_are_left_out_and_counted(tmp_path, caplog):
    path = affectnet(tmp_path, "0/0.png,10,20,30,30,,9,-2,-2", "0/0.png,10,20,30,30,,9,-2.000,-2.0")
    assert len(load_dataset(path, images=tmp_path / "images")) == COUNT
    assert "2 rows without annotation left out" in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0/none.png,10,20,30,30,,0,0,0", "column 'subDirectory_filePath': no such image: .*none.png"),
        ("0/0.png,10,20,30,30,,0,1.5,0", "column 'valence': got '1.5', expected a number from -1 to 1"),
        ("0/0.png,10,20,30,30,,0,0,high", "column 'arousal': got 'high', expected a number"),
        ("0/0.png,10,20,30,30,,0,nan,0", "column 'valence': got 'nan', expected a number"),
        (
            "0/0.png,40,20,30,30,,0,0,0",
            r"the face box 30x30 at \(40, 20\) does not lie inside the image of 60x80",
        ),
        ("0/0.png,10,20,0,30,,0,0,0", r"the face box 0x30 at \(10, 20\) does not lie"),
        ("0/0.png,-1,20,30,30,,0,0,0", "column 'face_x': got '-1', expected a number from 0"),
        ("0/0.png,10,20", "another number of columns than in the header"),
    ],
)
def test_a_bad_row_of_affectnet_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=rf"training\.csv, row 42[:,] {message}"):
        load_dataset(affectnet(tmp_path, row), images=tmp_path / "images")


def test_columns_that_are_missing_or_unknown_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("subDirectory_filePath,valence\nx.png,0\n")
    with pytest.raises(DataError, match=r"a\.csv, row 1: missing column 'face_x'"):
        load_dataset(path)
    path.write_text(f"{AFFECTNET},mood\n")
    with pytest.raises(DataError, match=r"a\.csv, row 1: unknown column 'mood'"):
        load_dataset(path)
    path.write_text(f"{AFFECTNET},arousal\n")
    with pytest.raises(DataError, match=r"a\.csv, row 1: repeated column 'arousal'"):
        load_dataset(path)
    path.write_text("image_id,is_male\n")
    with pytest.raises(DataError, match="no row below the header"):
        load_dataset(path)
    path.write_text("image_id;is_male\n0001.png;1\n")
    told = r"in a column subDirectory_filePath or image_id, .*; row 1 of .*a\.csv has image_id;is_male"
    with pytest.raises(ConfigError, match=told):
        load_dataset(path, images=tmp_path)
    with pytest.raises(ConfigError, match=r"--images goes with a csv that names image files; .* is none"):
        load_dataset(tmp_path, images=tmp_path)


def bitmoji(root: Path, values: list[str]) -> Path:
    for index in range(len(values)):
        image = np.full((384, 384, 3), 250, np.uint8)
        image[24:360, 24:360] = (10, 20, 30)  # what a crop of 224 from 256 keeps
        picture(root / f"{index:04}.png", image)
    path = root / "train.csv"
    path.write_text(
        "\n".join(["image_id,is_male", *(f"{i:04}.png,{v}" for i, v in enumerate(values))]) + "\n"
    )
    return path


def test_bitmoji_s_images_are_cropped_and_their_two_classes_told(tmp_path):
    dataset = load_dataset(bitmoji(tmp_path, ["1", "-1"] * 6), face_shape=(224, 224, 3))
    assert (dataset.images.shape, dataset.names) == ((12, 224, 224, 3), ("female", "male"))
    assert (dataset.images == (10, 20, 30)).all()
    assert dataset.labels.tolist() == [1, 0] * 6
    assert sorted(dataset.split("PublicTest")[1].tolist()) == [0, 1]


def test_a_bad_row_of_bitmoji_is_named(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv, row 4, column 'is_male': got '0', expected 1 or -1"):
        load_dataset(bitmoji(tmp_path, ["1", "-1", "0"]))
    with pytest.raises(ConfigError, match="has the labels female, male, got a, b"):
        load_dataset(tmp_path / "train.csv", names=["a", "b"])
    (tmp_path / "0001.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0001\.png: cannot be decoded"):
        load_dataset(tmp_path / "train.csv")
    (tmp_path / "0001.png").unlink()
    with pytest.raises(
        DataError, match=r"row 3, column 'image_id': no such image: .*; name the folder .* --images"
    ):
        load_dataset(tmp_path / "train.csv")


def test_names_of_folders_may_be_written_in_any_case_and_with_parted_accents(tmp_path):
    for name in ("CALM", unicodedata.normalize("NFD", "\u00e9mu")):
        picture(tmp_path / name / "0.png", np.zeros((48, 48), np.uint8))
    assert load_dataset(
        tmp_path, names=["calm", unicodedata.normalize("NFC", "\u00e9mu")]
    ).labels.tolist() == [0, 1]


def test_a_picture_is_made_square_as_the_runtime_does(tmp_path):
    oblong = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    for name in ("calm", "tense"):
        picture(tmp_path / name / "0.png", oblong)
    spec = ModelSpec("net", channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)
    expected = crop_faces(oblong[..., ::-1], np.array([[0, 0, 50, 60]], np.int32), spec, margin=0)
    dataset = load_dataset(tmp_path, names=["calm", "tense"], face_shape=(48, 48, 3))
    np.testing.assert_array_equal(dataset.images, np.repeat(expected, 2, 0))


def test_a_folder_may_have_labels_of_its_own(tmp_path):
    for name, gray in (("calm", 10), ("tense", 200)):
        for index in range(10):
            picture(tmp_path / name / f"{index}.png", np.full((30 + index, 60), gray, np.uint8))
    dataset = load_dataset(tmp_path, names=["tense", "calm"], face_shape=(48, 48))
    assert dataset.images.shape == (20, 48, 48)
    assert dataset.names == ("tense", "calm")
    np.testing.assert_array_equal(dataset.labels, np.where(dataset.images[:, 0, 0] == 200, 0, 1))
    assert np.bincount(dataset.split("PublicTest")[1]).tolist() == [1, 1]
    with pytest.raises(DataError, match=r"tense: unknown label folder, expected calm$"):
        load_dataset(tmp_path, names=["calm"])
    assert dataset.fingerprint != load_dataset(tmp_path, names=["calm", "tense"]).fingerprint


def test_own_labels_and_official_splits(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / split / "calm" / "1.png", np.full((48, 48), 1, np.uint8))
        picture(tmp_path / split / "tense" / "1.png", np.full((48, 48), 2, np.uint8))
    dataset = load_dataset(tmp_path, names=["calm", "tense"])
    assert dataset.split("PublicTest")[1].tolist() == [0, 1]
    picture(tmp_path / "train" / "other" / "1.png", np.full((48, 48), 1, np.uint8))
    with pytest.raises(DataError, match="other: unknown label folder, expected calm, tense"):
        load_dataset(tmp_path, names=["calm", "tense"])


def test_labels_and_images_go_with_forms_that_have_them(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n")
    with pytest.raises(ConfigError, match="has no labels of its own"):
        load_dataset(path, names=["a", "b"])
    with pytest.raises(ConfigError, match="--images goes with a csv that names image files"):
        load_dataset(path, images=tmp_path)
    for names in (["a", "a"], ["Calm", "calm"], ["calm", ""]):
        with pytest.raises(ConfigError, match="labels must be distinct in more than case and not empty"):
            load_dataset(path, names=names)


def test_an_npz_may_have_labels_of_its_own(tmp_path):
    path = tmp_path / "set.npz"
    usage = np.array(["Training", "PublicTest"])
    np.savez(path, images=np.zeros((2, 32, 40, 3), np.uint8), labels=np.array([0, 1], np.uint8), usage=usage)
    dataset = load_dataset(path, names=["calm", "tense"])
    assert (dataset.names, dataset.images.shape) == (("calm", "tense"), (2, 32, 40, 3))
    np.savez(path, images=np.zeros((2, 32, 40), np.uint8), labels=np.zeros((2, 2), np.float32), usage=usage)
    assert load_dataset(path, names=["valence", "arousal"]).task == "regression"
    np.savez(
        path, images=np.zeros((2, 32, 40), np.uint8), labels=np.full((2, 1), np.nan, np.float32), usage=usage
    )
    with pytest.raises(DataError, match="at index 0, expected finite values"):
        load_dataset(path, names=["arousal"])
