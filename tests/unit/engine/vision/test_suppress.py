"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

from fer_engine.vision.suppress import suppress


def kept(boxes, scores, overlap=0.35, limit=None):
    return suppress(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores), overlap, limit).tolist()


def test_of_boxes_on_one_face_the_best_stays():
    assert kept([(0, 0, 10, 10), (1, 1, 10, 10), (50, 50, 10, 10)], [0.5, 0.9, 0.2]) == [1, 2]


def test_neighbours_both_stay():
    assert kept([(0, 0, 10, 10), (6, 0, 10, 10)], [0.5, 0.9]) == [1, 0]  # they share a quarter of their union


def test_a_part_of_a_face_is_dropped_and_so_is_a_frame_around_it():
    inside, around = (4, 4, 3, 3), (0, 0, 10, 10)  # their intersection over union is 0.09
    assert kept([inside, around], [0.5, 0.9]) == [1]
    assert kept([inside, around], [0.9, 0.5]) == [0]


def test_what_was_dropped_drops_nothing():
    row = [(0, 0, 10, 10), (4, 0, 10, 10), (8, 0, 10, 10)]  # the first and the last one hardly touch
    assert kept(row, [0.9, 0.8, 0.7]) == [0, 2]


def test_limit_none_and_no_boxes():
    many = [(20 * index, 0, 10, 10) for index in range(30)]
    assert kept(many, range(30), limit=4) == [29, 28, 27, 26]
    assert len(kept(many, range(30))) == 30
    assert kept([], []) == []


def test_the_share_of_a_nested_box_can_be_chosen():
    half_out = [(0, 0, 20, 20), (12, 0, 20, 20)]  # two fifths of each lie in the other
    assert kept(half_out, [0.9, 0.5]) == [0, 1]
    assert suppress(np.array(half_out, float), np.array([0.9, 0.5]), 0.35, nested=0.3).tolist() == [0]
