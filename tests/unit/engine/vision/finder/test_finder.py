"""The face finder, with two tiny networks to which a bright spot on a dark ground is a face."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fer_engine.errors import ArtifactError, BackendError, ConfigError, InputError


def picture(width: int, height: int, *spots: tuple[int, int], side: int = 60, level: int = 250) -> np.ndarray:
    """A black image with bright squares around the given centres."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in spots:
        image[max(0, y - side // 2) : y + side // 2, max(0, x - side // 2) : x + side // 2] = level
    return image


def centres(found) -> list[tuple[int, int]]:
    return [(round(left + width / 2), round(top + height / 2)) for left, top, width, height in found.boxes]


def assert_close(found, spots, tolerance: float) -> None:
    """Each spot is found once, and nothing else."""
    assert len(found.boxes) == len(spots), centres(found)
    away = np.abs(np.array(centres(found))[:, np.newaxis] - np.array(spots)).max(2)
    assert (away.min(0) <= tolerance).all(), centres(found)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_faces_from_left_to_right_with_their_scores(make_finder, backend):
    spots = [(500, 120), (150, 300)]
    found = make_finder(backend=backend)(picture(640, 480, *spots))
    assert (found.boxes.dtype, found.scores.dtype) == (np.int32, np.float32)
    assert_close(found, spots, 18)  # a cell is 18 pixels wide here
    assert found.boxes[0, 0] < found.boxes[1, 0]
    np.testing.assert_allclose(found.boxes[:, 2:], [[40 / 0.45, 50 / 0.45]] * 2, atol=1)
    assert (found.scores > 0.99).all()


def test_the_verifier_has_the_last_word(make_finder):
    image = picture(640, 480, (150, 300))
    image[:, 550:] = 250  # a bright wall: also around each box on it
    assert_close(make_finder()(image), [(150, 300)], 18)


@pytest.mark.parametrize(("lowest", "count"), [(0.0, 1), (0.6, 1), (0.8, 0)])
def test_the_lowest_score(make_finder, lowest, count):
    found = make_finder(min_face_score=lowest)(picture(288, 288, (140, 140), side=28, level=138))
    assert len(found.boxes) == count
    assert np.allclose(found.scores, 1 / (1 + np.exp(-10 / 8)), atol=0.01)


def test_a_box_ends_at_the_image(make_finder):
    found = make_finder(min_face_score=0)(picture(288, 288, (4, 4), (284, 140), side=24))
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, :2] + found.boxes[:, 2:] <= 288).all()
    assert len(found.boxes) == 2


def test_a_larger_size_finds_smaller_faces(make_finder):
    spots = [(300, 300), (900, 500)]
    image = picture(1200, 900, *spots, side=32)
    assert len(make_finder()(image).boxes) == 0
    assert_close(make_finder(detect_size=900)(image), spots, 12)


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(12000, 1200, 66), (800, 16000, 76), (1200, 12000, 66), (6000, 900, 86), (4000, 3000, 108)],
)
def test_long_and_large_images(make_finder, width, height, side):
    generator = np.random.default_rng(0)
    along, across = max(width, height), min(width, height)
    steps = np.arange(200, along - 200, 700)
    spots = [(int(step), int(generator.integers(120, across - 120))) for step in steps]
    spots = spots if width > height else [(y, x) for x, y in spots]
    assert_close(make_finder()(picture(width, height, *spots, side=side)), spots, 40)


@pytest.mark.parametrize("shift", range(0, 260, 13))
def test_a_face_at_a_seam_is_found_once(make_finder, shift):
    spots = [(400 + 2 * shift, 300 + 2 * shift), (1300 - shift, 400)]
    found = make_finder(detect_size=882)(picture(1764, 1323, *spots, side=48))
    assert_close(found, spots, 16)


@pytest.mark.parametrize(("crowd", "found_small"), [(2, False), (3, True)])
def test_a_crowd_is_searched_again_for_smaller_faces(make_finder, monkeypatch, crowd, found_small):
    monkeypatch.setattr(
        "fer_engine.vision.finder.finder.SMALL", 60
    )  # every box of this network has 50 pixels
    spots = [(200 + 250 * index, 200) for index in range(crowd)]
    image = picture(1000, 800, *spots, side=84)
    small = (500, 600)
    image += picture(1000, 800, small, side=50)
    assert_close(make_finder()(image), [*spots, small] if found_small else spots, 30)


def test_a_crowd_in_a_large_image_is_not_cut_off(make_finder):
    spots = [(x, y) for x in range(150, 3900, 250) for y in range(150, 2900, 250)]  # 165 faces
    assert_close(make_finder()(picture(4000, 3000, *spots, side=108)), spots, 40)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 2), (7, 7), (30, 30), (8, 300)])
def test_small_images_without_a_face(make_finder, shape):
    found = make_finder()(np.full((*shape, 3), 90, np.uint8))
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))


def test_one_finder_serves_several_threads(make_finder):
    finder = make_finder()
    images = [picture(640, 480, (100 + 90 * index, 200)) for index in range(4)]
    expected = [finder(image).boxes.tolist() for image in images]
    found: list[list] = [[] for _ in images]

    def work(index: int) -> None:
        found[index] = [finder(images[index]).boxes.tolist() for _ in range(5)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[boxes] * 5 for boxes in expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detect_size": 0}, "detect_size must be at least 1, got 0"),
        ({"detect_size": "large"}, "detect_size must be a number of pixels or 'auto', got 'large'"),
        ({"detect_size": 640.0}, "got 640.0"),
        ({"min_face_score": 1.5}, "min_face_score must be from 0 to 1, got 1.5"),
    ],
)
def test_settings_out_of_range(make_finder, options, message):
    with pytest.raises(ConfigError, match=message):
        make_finder(**options)


def test_other_networks_are_refused(make_finder, spots, rims, tmp_path):
    with pytest.raises(ConfigError, match=r"rims is a classification model .* needs a detection"):
        make_finder(detector=rims)
    with pytest.raises(ConfigError, match=r"spots takes .* needs a verifier that takes gray"):
        make_finder(verifier=spots)
    with pytest.raises(ArtifactError):
        make_finder(detector=tmp_path)
    with pytest.raises(BackendError, match="unknown backend"):
        make_finder(backend="abacus")


def test_an_image_of_another_kind_is_refused(make_finder):
    with pytest.raises(InputError, match="an image must be uint8"):
        make_finder()(np.zeros((48, 48), np.uint8))
