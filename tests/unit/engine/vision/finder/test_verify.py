"""What the verifier sees of a box."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine.vision.finder.verify import verifier_crop

ROWS, COLUMNS = np.mgrid[:200, :300]


@pytest.mark.parametrize("size", [10, 30, 60, 150])
def test_the_crop_is_the_square_of_1_08_times_the_height_around_the_centre(size):
    box = (140.3 - 0.4 * size, 101.7 - size / 2, 0.8 * size, size)
    side = 1.08 * size
    across = verifier_crop((COLUMNS // 2).astype(np.uint8), box)  # a ramp tells where each sample comes from
    down = verifier_crop(ROWS.astype(np.uint8), box)
    assert across.shape == down.shape == (40, 40)
    assert across.dtype == np.uint8
    steps = (np.arange(40) + 0.5) / 40 * side - side / 2 - 0.5
    np.testing.assert_allclose(across[20], (140.3 + steps) / 2, atol=1.2)
    np.testing.assert_allclose(down[:, 20], 101.7 + steps, atol=1.2)


def test_a_wide_box_counts_by_its_width():
    flat = verifier_crop(ROWS.astype(np.uint8), (100, 90, 60, 20))
    assert np.ptp(flat[:, 20].astype(int)) == pytest.approx(1.08 * 1.1 * 60, abs=3)


@pytest.mark.parametrize("size", [16, 120])
def test_the_edge_of_the_image_is_repeated(size):
    gray = np.full((200, 300), 50, np.uint8)
    gray[0], gray[:, 0] = 200, 200
    crop = verifier_crop(gray, (-size / 2, -size / 2, size, size))
    assert (crop[:18, :18] == 200).all()
    assert (crop[24:, 24:] == 50).all()


def test_a_fraction_of_a_pixel_shifts_a_small_crop():
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)
    one, other = verifier_crop(noise, (20, 20, 12, 15)), verifier_crop(noise, (20.5, 20, 12, 15))
    assert (one != other).mean() > 0.5


def test_a_large_face_is_averaged_not_sampled():
    checkers = ((ROWS + COLUMNS) % 2 * 255).astype(np.uint8)
    crop = verifier_crop(checkers, (80, 20, 140, 160))
    assert np.ptp(crop.astype(int)) < 80
