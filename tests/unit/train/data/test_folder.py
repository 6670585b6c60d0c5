import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_engine.errors import DataError
from fer_train.data import load_dataset


def put(path: Path, gray: int = 9, size: tuple[int, int] = (48, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(size, gray, np.uint8))


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("angry", 0), ("anger", 0), ("Disgusted", 1), ("disgust", 1), ("fear", 2), ("FEARFUL", 2),
        ("happy", 3), ("Happiness", 3), ("sad", 4), ("sadness", 4), ("surprise", 5), ("surprised", 5),
        ("Neutral", 6), ("0", 0), ("6", 6),
    ],
)  # fmt: skip
def test_a_label_folder_may_have_any_common_spelling(tmp_path, folder, label):
    put(tmp_path / "train" / folder / "1.png")
    assert load_dataset(tmp_path, cache=False).labels.tolist() == [label]


@pytest.mark.parametrize(
    ("folders", "usages"),
    [
        (["train", "test"], {"train": "Training", "test": "PublicTest"}),
        (["Train", "val"], {"Train": "Training", "val": "PublicTest"}),
        (
            ["train", "validation", "test"],
            {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"},
        ),
        (["PublicTest", "PrivateTest"], {"PublicTest": "PublicTest", "PrivateTest": "PrivateTest"}),
    ],
)
def test_the_split_folder_decides_the_usage(tmp_path, folders, usages):
    for gray, folder in enumerate(folders):
        put(tmp_path / folder / "sad" / "im0.png", gray)
    dataset = load_dataset(tmp_path, cache=False)
    got = {
        folders[image[0, 0]]: str(usage) for image, usage in zip(dataset.images, dataset.usage, strict=True)
    }
    assert got == usages


def test_the_prefix_of_a_file_decides_over_the_folder(tmp_path):
    put(tmp_path / "test" / "sad" / "PrivateTest_7.jpg", 1)
    put(tmp_path / "test" / "sad" / "PublicTest_8.jpg", 2)
    put(tmp_path / "test" / "sad" / "im9.jpg", 3)
    dataset = load_dataset(tmp_path, cache=False)
    got = dict(zip(dataset.images[:, 0, 0].tolist(), dataset.usage.tolist(), strict=True))
    assert got == {1: "PrivateTest", 2: "PublicTest", 3: "PublicTest"}


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 100, 1):
        put(tmp_path / "train" / "happy" / f"Training_{number}.png", number)
    assert load_dataset(tmp_path, cache=False).images[:, 0, 0].tolist() == [1, 9, 10, 100]


def test_the_litter_of_file_managers_is_passed_over(tmp_path):
    put(tmp_path / "train" / "happy" / "1.png")
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "readme.md").touch()
    (tmp_path / "train" / "happy" / "Thumbs.db").touch()
    assert len(load_dataset(tmp_path, cache=False)) == 1


def test_a_colour_image_of_gray_is_read_as_gray(tmp_path):
    path = tmp_path / "train" / "happy" / "1.png"
    put(path)
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    cv2.imwrite(str(path), np.dstack([face] * 3))
    np.testing.assert_array_equal(load_dataset(tmp_path, cache=False).images[0], face)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("train/happy/2.png", b"no image", r"2\.png: cannot be decoded"),
        ("train/happy/2.png", b"", r"2\.png: cannot be decoded"),
        ("train/happy/2.gif", b"GIF89a", r"2\.gif: not a \.png or \.jpg file"),
        ("train/contempt/2.png", b"", "contempt: unknown label folder, expected angry, disgust"),
        ("holdout/happy/2.png", b"", "holdout: unknown split folder, expected train, training"),
        ("train/2.png", b"", r"2\.png: (unknown label folder|a file where a folder was expected)"),
        ("train/sad", b"", r"sad: a file where a folder was expected"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(tmp_path, path, content, message):
    put(tmp_path / "train" / "happy" / "1.png")
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path, cache=False)


def test_an_image_of_another_size_is_refused_not_resized(tmp_path):
    put(tmp_path / "train" / "happy" / "1.png", size=(48, 64))
    with pytest.raises(DataError, match=r"1\.png: 64x48 pixels, expected 48x48"):
        load_dataset(tmp_path, cache=False)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        load_dataset(tmp_path, cache=False)


def test_an_image_that_claims_to_be_huge_is_refused_by_its_header(tmp_path):
    path = tmp_path / "train" / "happy" / "1.png"
    put(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"1\.png: cannot be decoded: .* has 60000x60000 = 3600000000 pixels"):
        load_dataset(tmp_path)
