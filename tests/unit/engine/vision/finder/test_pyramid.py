"""Levels and tiles: each face of a level's size lies whole in a tile, and the number of tiles is bounded."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fer_engine.vision.finder.pyramid import OVERLAP, TILE, levels


def sizes(width: int, height: int, detect_size: int | None = None) -> list[tuple[int, int]]:
    """The levels at which an image is searched in any case."""
    return [(level.width, level.height) for level in levels(height, width, detect_size) if level.always]


def test_an_ordinary_image_is_one_tile():
    level, finer = levels(480, 640, None)
    assert (level.always, finer.always) == (True, False)
    assert (level.width, level.height, len(level.tiles)) == (288, 216, 1)


def test_a_larger_image_has_finer_levels():
    assert sizes(1024, 768) == [(288, 216)]
    assert sizes(1600, 1200) == [(288, 216), (504, 378)]
    assert sizes(1200, 1600) == [(216, 288), (378, 504)]
    assert sizes(4000, 3000) == sizes(8000, 6000) == [(288, 216), (504, 378), (882, 662)]


def test_the_levels_for_crowds():
    for width, expected in (
        (540, [True]),
        (640, [True, False]),
        (1024, [True, False, False]),
        (800, [True, False]),
        (1600, [True, True, False]),
    ):
        assert [level.always for level in levels(width * 3 // 4, width, None)] == expected


def test_nothing_is_enlarged():
    assert sizes(100, 80) == sizes(100, 80, 4000) == [(100, 80)]
    assert sizes(400, 300, 4000)[-1] == (400, 300)


@pytest.mark.parametrize("size", [100, 288, 300, 400, 504, 640, 1000, 2000, 4000])
def test_the_finest_level_has_the_size_that_is_asked_for(size):
    found = [width for width, _ in sizes(4000, 3000, size)]
    assert found[-1] == size
    assert found[0] == min(size, 288)
    steps = [after / before for before, after in itertools.pairwise(found)]
    assert all(step < 1.75**1.5 + 0.01 for step in steps)


@pytest.mark.parametrize(
    ("width", "height", "least"),
    [(12000, 1200, 140), (800, 16000, 140), (1200, 500, 140)],
)
def test_a_strip_is_searched_by_its_shorter_side(width, height, least):
    first, *finer = levels(height, width, None)
    assert min(first.width, first.height) >= least
    assert len(first.tiles) > 1
    assert sum(len(level.tiles) for level in (first, *finer)) < 150


@pytest.mark.parametrize("shape", [(1, 1), (5, 5000), (100, 1_000_000), (20, 60_000), (1_000_000, 30)])
def test_no_image_makes_many_tiles(shape):
    assert sum(len(level.tiles) for level in levels(*shape, None)) < 400


@pytest.mark.parametrize("shape", [(3000, 4000), (800, 16000), (16000, 800), (1999, 2003), (600, 1300)])
def test_each_face_of_a_level_lies_whole_in_a_tile(shape):
    generator = np.random.default_rng(0)
    first, *finer = levels(*shape, 1500)
    assert finer
    for level, largest in [
        (first, min(144, first.width, first.height)),
        *((fine, OVERLAP) for fine in finer),
    ]:
        side = largest - 6  # room for the two pixels at each cut
        corners = generator.uniform(0, 1, (500, 2)) * [level.width - side, level.height - side]
        for left, top in [*corners, (0, 0), (level.width - side, level.height - side)]:
            assert any(
                tile.left + 2 * tile.cut_left <= left
                and left + side <= tile.left + TILE - 2 * tile.cut_right
                and tile.top + 2 * tile.cut_top <= top
                and top + side <= tile.top + TILE - 2 * tile.cut_bottom
                for tile in level.tiles
            )


def test_tiles_hold_their_part_of_the_image_and_its_mean_beyond():
    gray = np.random.default_rng(1).integers(0, 256, (1300, 2600), np.uint8)
    for level in levels(1300, 2600, None):
        shrunk = level.shrunk(gray)
        assert shrunk.shape == (level.height, level.width)
        for pixels, tile in zip(level.cut(shrunk, level.tiles), level.tiles, strict=True):
            part = shrunk[tile.top : tile.top + TILE, tile.left : tile.left + TILE]
            height, width = part.shape
            np.testing.assert_array_equal(pixels[:height, :width], part)
            beyond = np.concatenate([pixels[height:].ravel(), pixels[:, width:].ravel()])
            assert (beyond == round(part.mean())).all()
