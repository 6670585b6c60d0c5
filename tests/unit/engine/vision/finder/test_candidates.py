"""What is read out of the detector's answer."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine.vision.finder.candidates import Candidates, read_candidates
from fer_engine.vision.finder.pyramid import LARGEST_FINE, Level, Tile, levels

WHOLE = levels(288, 288, None)[0]
SURE = (3.0, 100, 100, 40, 50)  # logit, left, top, width, height


def read(*anchors: tuple[float, ...], level: Level = WHOLE, tile: Tile | None = None) -> list[list[float]]:
    outputs = np.full((1, 1701 * 5), -20, np.float32)
    outputs[0, : 5 * len(anchors)] = np.ravel(anchors)
    found = read_candidates(outputs, [tile or level.tiles[0]], level)
    return [box for part in found for box in part.boxes.tolist()]


def test_likely_anchors_best_first():
    assert read(SURE, (5.0, 10, 10, 40, 50), (-1.8, 200, 10, 40, 50)) == [
        [10, 10, 40, 50],
        [100, 100, 40, 50],
    ]
    assert read() == []


def test_of_boxes_on_one_face_the_best_is_kept():
    assert read(SURE, (4.0, 105, 100, 40, 50)) == [[105, 100, 40, 50]]


@pytest.mark.parametrize(
    "values",
    [
        (np.nan, 100, 100, 40, 50),
        (3, np.nan, 100, 40, 50),
        (3, 100, 100, np.inf, 50),
        (np.inf, np.inf, 100, 40, 50),
        (3, 100, 100, 0, 50),
        (3, 100, 100, 40, -50),
        (3, -60, 100, 40, 50),  # its centre is outside the image
        (3, 100, 280, 40, 50),
    ],
)
def test_what_is_no_box_is_left_out(values):
    assert read(values, SURE) == [list(SURE[1:])]


def test_a_face_at_the_image_s_edge_is_kept():
    assert read((3, -10, 100, 40, 50), (3, 260, 260, 40, 50)) == [[-10, 100, 40, 50], [260, 260, 40, 50]]


def test_a_box_at_an_inner_border_is_left_to_the_neighbour():
    level = levels(300, 600, 600)[-1]
    first = level.tiles[0]
    assert (first.cut_right, first.cut_left) == (True, False)
    assert read((3, 250, 100, 40, 50), level=level) == []  # the right border of the tile is an inner one
    assert read((3, -4, 100, 40, 50), level=level) == [[-4, 100, 40, 50]]
    last = level.tiles[-1]
    shift = [last.left, last.top]
    assert read((3, 0, 100, 40, 50), level=level, tile=last) == []
    assert read((3, 245, 200, 40, 50), level=level, tile=last) == [[245 + shift[0], 200 + shift[1], 40, 50]]


def test_a_finer_level_leaves_large_faces_to_the_level_before():
    level = levels(1200, 1600, None)[-1]
    large = LARGEST_FINE + 1
    assert read((3, 50, 50, 40, large), level=level) == []
    assert read((3, 50, 50, 40, large)) == [[50, 50, 40, large]]


def test_a_tile_has_at_most_forty_candidates():
    grid = [(index / 10, 20 * (index % 14), 20 * (index // 14), 18, 18) for index in range(100)]
    found = read(*grid)
    assert len(found) == 40
    assert found[0] == [20 * (99 % 14), 20 * (99 // 14), 18, 18]


def test_two_boxes_of_one_verified_face_are_one_and_cheek_to_cheek_are_two():
    face, shifted, cheek = (100, 100, 40, 50), (120, 104, 40, 50), (132, 100, 40, 50)
    for other, count in ((shifted, 1), (cheek, 2)):
        candidates = Candidates(np.array([face, other], np.float32), np.array([3, 1], np.float32))
        assert len(candidates.best().boxes) == 2
        assert candidates.faces().boxes.tolist() == [list(face), list(other)][:count]
