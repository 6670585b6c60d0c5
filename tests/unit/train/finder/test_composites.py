import cv2
import numpy as np
import pytest

from fer_engine.errors import DataError
from fer_train.finder.backgrounds import read_backgrounds
from fer_train.finder.composites import ABSENT, FACE, Composer

SIDE = 160


@pytest.fixture
def composer():
    rng = np.random.default_rng(0)
    faces = np.full((4, 48, 48), 250, np.uint8)  # nothing else is so bright
    backgrounds = [rng.integers(0, 60, (200, 240), dtype=np.uint8) for _ in range(3)]
    return lambda seed=1: Composer(faces, backgrounds, np.random.default_rng(seed))


def test_the_same_seed_composes_the_same_pictures(composer):
    first, again, other = (composer(seed).compose(6, SIDE, 9, 120) for seed in (1, 1, 2))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.images, other.images)


def test_boxes_are_faces_within_the_picture_of_the_sizes_asked_for(composer):
    made = composer().compose(60, SIDE, 12, 80)
    faces = made.boxes[made.boxes[..., 4] == FACE]
    assert len(faces) > 60
    width, height = faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1]
    sizes = width / 0.8
    assert height == pytest.approx(sizes * 0.98, rel=1e-4)
    assert sizes.min() > 8  # the people of a row differ by a tenth or two
    assert sizes.max() < 120
    centres = (faces[:, :2] + faces[:, 2:4]) / 2
    assert (centres > 0).all()
    assert (centres < SIDE).all()
    assert (made.boxes[..., 4] == ABSENT).any()


def test_a_face_is_drawn_where_its_box_is(composer):
    """The faces are the brightest thing on a dark background, before light and noise change the picture."""
    made = composer().compose(80, SIDE, 40, 80)
    brighter = 0
    total = 0
    for image, boxes in zip(made.images, made.boxes, strict=True):
        for left, top, right, bottom, kind in boxes:
            if kind == FACE:
                x, y = int((left + right) / 2), int((top + bottom) / 2)
                inside = image[max(0, y - 6) : y + 6, max(0, x - 6) : x + 6].mean()
                brighter += inside > np.median(image)
                total += 1
    assert brighter / total > 0.8


def test_backgrounds_are_read_gray_and_those_of_no_use_left_out(tmp_path):
    rng = np.random.default_rng(0)
    clear = np.zeros((100, 100, 4), np.uint8)
    clear[:50, :, :3] = 255
    clear[:50, :, 3] = 255
    cv2.imwrite(str(tmp_path / "a.png"), clear)
    (tmp_path / "sub").mkdir()
    cv2.imwrite(str(tmp_path / "sub" / "b.png"), rng.integers(0, 65536, (1920, 192), dtype=np.uint16))
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((100, 100), 7, np.uint8))
    cv2.imwrite(str(tmp_path / "small.png"), rng.integers(0, 256, (20, 20), dtype=np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    half_clear, tall = read_backgrounds(tmp_path)
    assert half_clear.dtype == np.uint8
    assert half_clear[20, 20] == 255
    assert half_clear[80, 80] == 128  # transparent is middle gray
    assert tall.shape == (960, 96)


def test_a_folder_without_backgrounds_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no folder of backgrounds"):
        read_backgrounds(tmp_path / "none")
    with pytest.raises(DataError, match="none of the 0 pictures"):
        read_backgrounds(tmp_path)
