import numpy as np
import pytest

from fer_engine.errors import DataError
from fer_train.sampling import hold_out, intervals, stratified

LABELS = (
    np.random.default_rng(0).choice(7, 5000, p=[0.14, 0.015, 0.14, 0.25, 0.17, 0.11, 0.175]).astype(np.uint8)
)


@pytest.mark.parametrize("count", [7, 8, 64, 512, 4999, 5000])
def test_each_class_has_its_share(count):
    chosen = stratified(LABELS, count, seed=3)
    assert len(chosen) == len(set(chosen.tolist())) == count
    got = np.bincount(LABELS[chosen], minlength=7)
    exact = np.bincount(LABELS) * count / len(LABELS)
    assert got.min() >= 1
    # Only the raising of rare classes to one may move a share by more than its rounding.
    assert np.abs(got - exact).max() < (1 if count >= 512 else 2)


def test_one_seed_gives_one_sample_and_another_seed_another():
    np.testing.assert_array_equal(stratified(LABELS, 512, 1), stratified(LABELS, 512, 1))
    assert set(stratified(LABELS, 512, 1).tolist()) != set(stratified(LABELS, 512, 2).tolist())


def test_a_class_of_one_is_always_there():
    labels = np.array([0] * 999 + [4], np.uint8)
    for seed in range(5):
        assert 999 in stratified(labels, 10, seed)


def test_absent_classes_need_no_place():
    labels = np.array([2, 2, 5, 5], np.uint8)
    assert sorted(labels[stratified(labels, 2, 0)].tolist()) == [2, 5]


@pytest.mark.parametrize("count", [-1, 0, 6, 5001])
def test_an_impossible_count_is_refused(count):
    with pytest.raises(
        DataError, match=rf"sample of {count} from 5000 faces of 7 classes; expected 7 to 5000"
    ):
        stratified(LABELS, count, 0)


def test_no_labels_are_refused():
    with pytest.raises(DataError, match="from 0 faces"):
        stratified(np.empty(0, np.uint8), 0, 0)


def test_a_share_of_each_class_is_held_out_and_no_class_whole():
    labels = np.repeat(np.arange(5, dtype=np.uint8), (1, 2, 14, 100, 383))
    held = hold_out(labels, 0.1, seed=0)
    assert np.bincount(labels[held], minlength=5).tolist() == [0, 1, 1, 10, 38]
    assert (hold_out(labels, 0.1, seed=0) == held).all()
    assert (hold_out(labels, 0.1, seed=1) != held).any()


def test_of_values_exactly_the_share_is_held_out_and_each_interval_gives_its_own():
    values = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    held = hold_out(values, 0.1, seed=0)
    assert held.sum() == 100
    cells = intervals(values[:, 1:])  # the column that sorts first
    sizes, drawn = np.bincount(cells, minlength=10), np.bincount(cells[held], minlength=10)
    assert np.abs(drawn - sizes / 10).max() <= 1


def test_so_few_faces_that_no_share_is_left_hold_none_out():
    assert not hold_out(np.zeros((3, 1), np.float32), 0.1, seed=0).any()
    assert not hold_out(np.arange(4, dtype=np.uint8), 0.1, seed=0).any()
