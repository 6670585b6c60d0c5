"""Pictures for a detection: what an .npz must hold."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine.errors import DataError
from fer_train.data.pictures import read_pictures

SHAPE = (64, 32)


def test_pictures_come_with_splits_or_get_them(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    plain = read_pictures(tmp_path / "plain.npz", SHAPE)
    np.testing.assert_array_equal(plain.images, images)
    assert (plain.source, len(plain.split("Training")[0]), len(plain.split("PublicTest")[0])) == (
        "plain.npz",
        18,
        2,
    )
    usage = np.where(np.arange(20) < 5, "Training", "PublicTest")
    np.savez(tmp_path / "split.npz", images=images, usage=usage)
    split = read_pictures(tmp_path / "split.npz", SHAPE)
    np.testing.assert_array_equal(split.split("Training")[0], images[:5])


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((4, 32, 64), np.uint8), r"uint8 \[4, 32, 64\], the detector takes uint8 \[n, 64, 32\]"),
        (np.zeros((4, *SHAPE), np.float32), r"float32 \[4, 64, 32\]"),
        (np.zeros((4, *SHAPE, 3), np.uint8), r"uint8 \[4, 64, 32, 3\]"),
        (np.zeros((1, *SHAPE), np.uint8), r"n at least 2"),
        (np.uint8(3), r"uint8 \[\]"),
    ],
)
def test_other_arrays_are_refused(tmp_path, images, told):
    np.savez(tmp_path / "other.npz", images=images)
    with pytest.raises(DataError, match=told):
        read_pictures(tmp_path / "other.npz", SHAPE)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "faces.csv").write_text("emotion,pixels\n")
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    np.savez(tmp_path / "empty.npz", faces=np.zeros(3))
    for name, told in {
        "faces.csv": "pictures for a detector come as an .npz file",
        "none.npz": "pictures for a detector come as an .npz file",
        "damaged.npz": "damaged, or not an .npz file",
        "empty.npz": "no array 'images', found faces",
    }.items():
        with pytest.raises(DataError, match=told):
            read_pictures(tmp_path / name, SHAPE)
