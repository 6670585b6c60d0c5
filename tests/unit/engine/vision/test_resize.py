from __future__ import annotations

import numpy as np
import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.vision.resize import fit, resize

COLOUR = ModelSpec("x", height=6, width=4, channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)
GRAY = ModelSpec("x", height=6, width=4)


def test_faces_that_fit_are_not_copied():
    faces = np.zeros((2, 6, 4), np.uint8)
    assert fit(faces, GRAY) is faces


def test_gray_becomes_three_equal_channels_and_colour_its_luminance():
    gray = np.arange(24, dtype=np.uint8).reshape(1, 6, 4)
    colour = fit(gray, COLOUR)
    assert (colour == gray[..., None]).all()
    red = np.zeros((1, 6, 4, 3), np.uint8)
    red[..., 0] = 200
    assert (fit(red, GRAY) == round(200 * 0.299)).all()


def test_shrinking_averages_areas_and_growing_interpolates():
    board = np.indices((12, 8)).sum(0) % 2 * 200
    assert (resize(board.astype(np.uint8), 6, 4) == 100).all()
    ramp = np.tile(np.array([0, 100], np.uint8), (2, 1))
    assert resize(ramp, 2, 4)[0].tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize("spec", [GRAY, COLOUR])
def test_no_faces_fit(spec):
    assert fit(np.empty((0, 48, 48), np.uint8), spec).shape == (0, *spec.face_shape)
