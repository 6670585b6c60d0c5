"""The one crop, held against exact bytes and against NumPy."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, InputError
from fer_engine.vision import as_boxes, crop_faces

GRAY = ModelSpec("gray", height=4, width=4)
COLOUR = ModelSpec("colour", height=4, width=4, channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)
FER = ModelSpec("fer")


def scene(height: int = 60, width: int = 80) -> np.ndarray:
    """An image whose pixels all differ from their neighbours, the same on every machine."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 3 + columns, columns * 2, 255 - rows * 2 + columns], -1).astype(np.uint8)


def boxes(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(rows, np.int32).reshape(-1, 4)


def luminance(bgr: np.ndarray) -> np.ndarray:
    return bgr.astype(float) @ [0.114, 0.587, 0.299]


def digest(faces: np.ndarray) -> str:
    return hashlib.sha256(faces.tobytes()).hexdigest()[:16]


def test_a_box_of_the_networks_size_is_cut_out_as_it_is():
    image = scene()
    faces = crop_faces(image, boxes((10, 20, 4, 4), (0, 0, 4, 4)), COLOUR, margin=0)
    assert (faces[0] == image[20:24, 10:14, ::-1]).all()
    assert (faces[1] == image[:4, :4, ::-1]).all()


def test_gray_is_the_luminance():
    image = np.zeros((4, 4, 3), np.uint8)
    image[0] = 255, 0, 0
    image[1] = 0, 255, 0
    image[2] = 0, 0, 255
    image[3] = 255, 255, 255
    assert crop_faces(image, boxes((0, 0, 4, 4)), GRAY, 0)[0, :, 0].tolist() == [29, 150, 76, 255]
    faces = crop_faces(scene(), boxes((10, 20, 4, 4)), GRAY, 0)
    assert np.abs(faces[0] - luminance(scene()[20:24, 10:14])).max() <= 0.51


def test_shrinking_averages_areas():
    image = scene()
    areas = image[16:32, 8:24].reshape(4, 4, 4, 4, 3).mean((1, 3))
    faces = crop_faces(image, boxes((8, 16, 16, 16)), GRAY, 0)
    assert np.abs(faces[0] - luminance(areas)).max() <= 1


def test_the_square_stands_around_the_boxs_centre():
    wide = crop_faces(scene(), boxes((10, 20, 16, 8)), COLOUR, 0)
    high = crop_faces(scene(), boxes((14, 16, 8, 16)), COLOUR, 0)
    square = crop_faces(scene(), boxes((10, 16, 16, 16)), COLOUR, 0)
    assert (wide == square).all()
    assert (high == square).all()


@pytest.mark.parametrize(("margin", "same"), [(0.25, (16, 16, 24, 24)), (-0.25, (24, 24, 8, 8))])
def test_a_margin_is_a_share_of_the_side_at_each_side(margin, same):
    with_margin = crop_faces(scene(), boxes((20, 20, 16, 16)), FER, margin)
    assert (with_margin == crop_faces(scene(), boxes(same), FER, 0)).all()


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (70, 0, 10, 20), (60, 40, 20, 20), (0, 45, 30, 15)])
def test_beyond_the_image_its_edge_is_repeated(box):
    around = 40
    padded = np.pad(scene(), ((around, around), (around, around), (0, 0)), mode="edge")
    moved = (box[0] + around, box[1] + around, *box[2:])
    expected = crop_faces(padded, boxes(moved), FER, 0.3)
    assert (crop_faces(scene(), boxes(box), FER, 0.3) == expected).all()


@pytest.mark.parametrize(
    ("box", "margin", "golden"),
    [
        ((10, 5, 48, 48), 0, "233040e8ca41cb75"),
        ((20, 10, 96, 96), 0, "74f3516aa33302e8"),
        ((30, 20, 20, 24), 0.1, "ab2a0c3333196b89"),
        ((150, 100, 20, 20), 0.3, "41ebe3e4b32d2e40"),
    ],
)
def test_golden_bytes(box, margin, golden):
    """The bytes that networks get: a change here changes the answers of every model.

    As large, half as large, enlarged, and at an edge; all of them are computed in whole numbers.
    """
    assert digest(crop_faces(scene(120, 160), boxes(box), FER, margin)) == golden


def test_golden_pixels_of_a_square_that_shrinks_by_a_fraction():
    expected = [[88, 92, 60, 33], [88, 92, 96, 93], [87, 91, 95, 99], [87, 90, 95, 98]]
    faces = crop_faces(scene(), boxes((8, 8, 10, 7)), GRAY, 0)
    assert np.abs(faces[0] - np.array(expected)).max() <= 1  # a float sum may round the other way elsewhere


def test_faces_keep_the_order_of_the_boxes_and_may_be_none():
    image = scene()
    some = boxes((30, 0, 8, 8), (10, 0, 8, 8))
    both = crop_faces(image, some, GRAY)
    assert (both[1] == crop_faces(image, some[1:], GRAY)[0]).all()
    assert crop_faces(image, boxes(), GRAY).shape == (0, 4, 4)


def test_a_strip_does_not_become_a_huge_square():
    strip = np.full((2, 200_000, 3), 7, np.uint8)
    assert (crop_faces(strip, as_boxes([[0, 0, 200_000, 2]], strip), FER) == 7).all()


def test_thousands_of_faces():
    found = as_boxes([[x % 79, x // 79, 9, 9] for x in range(4000)], scene())
    assert crop_faces(scene(), found, FER).shape == (4000, 48, 48)


@pytest.mark.parametrize("margin", [-0.5, 1.1, float("nan")])
def test_a_margin_out_of_range(margin):
    with pytest.raises(ConfigError, match=f"margin must be above -0.5 and at most 1, got {margin}"):
        crop_faces(scene(), boxes((0, 0, 9, 9)), FER, margin)


def test_a_box_outside_the_image():
    with pytest.raises(InputError, match=r"box \[90, 0, 9, 9\] has no pixel in the image of 80x60"):
        crop_faces(scene(), boxes((90, 0, 9, 9)), FER)
