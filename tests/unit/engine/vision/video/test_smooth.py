import numpy as np
import pytest

from fer_engine.errors import ConfigError
from fer_engine.vision.video.smooth import MAX_ABSENCE, Smoother


def shares(*rows):
    return np.array(rows, np.float32)


def test_each_track_has_its_own_exponential_average():
    smoother = Smoother(0.75)
    np.testing.assert_array_equal(smoother.update([0, 1], shares([1, 0], [0, 1])), [[1, 0], [0, 1]])
    np.testing.assert_allclose(smoother.update([1, 0], shares([1, 0], [1, 0])), [[0.25, 0.75], [1, 0]])
    np.testing.assert_allclose(smoother.update([1], shares([1, 0])), [[0.4375, 0.5625]])


def test_the_input_is_left_alone_and_sums_stay_one():
    smoother = Smoother(0.9)
    given = np.random.default_rng(0).dirichlet(np.ones(7), (20, 3)).astype(np.float32)
    before = given.copy()
    for frame in given:
        np.testing.assert_allclose(smoother.update([0, 1, 2], frame).sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(("gone", "expected"), [(MAX_ABSENCE - 1, 0.5), (MAX_ABSENCE + 1, 1.0)])
def test_a_face_that_was_gone_for_long_begins_anew(gone, expected):
    smoother = Smoother(0.5)
    smoother.update([0], shares([0, 1]))
    for _ in range(gone):
        smoother.update([], np.empty((0, 2), np.float32))
    assert smoother.update([0], shares([1, 0]))[0, 0] == expected


@pytest.mark.parametrize("weight", [-0.1, 1.0, float("nan")])
def test_a_weight_out_of_range(weight):
    with pytest.raises(ConfigError, match="smoothing must be from 0"):
        Smoother(weight)
