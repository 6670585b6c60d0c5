"""The answers of any detector, checked."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine.errors import InputError
from fer_engine.vision import Detections, as_boxes, as_detections

IMAGE = np.zeros((100, 200, 3), np.uint8)


def test_boxes_are_rounded_clipped_and_sorted():
    found = [[150.4, 20, 10, 10], [-5, -5, 20.6, 20], [150, 10, 10, 10], [190, 90, 1e12, 1e12]]
    assert as_boxes(found, IMAGE).tolist() == [
        [0, 0, 16, 15],
        [150, 10, 10, 10],
        [150, 20, 10, 10],
        [190, 90, 10, 10],
    ]


@pytest.mark.parametrize("box", [(-20, 5, 10, 10), (200, 5, 10, 10), (5, 100, 10, 10), (5, 5, 0.2, 10)])
def test_a_box_without_a_pixel_in_the_image_is_left_out(box):
    assert as_boxes([box, (1, 2, 3, 4)], IMAGE).tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("found", [(), [], np.empty((0, 4)), np.empty(0), np.empty((0, 4), np.int32)])
def test_nothing_found(found):
    boxes = as_boxes(found, IMAGE)
    assert (boxes.shape, boxes.dtype) == ((0, 4), np.int32)


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (None, "the detector gave NoneType; expected boxes as numbers"),
        ("faces", "the detector gave <U5"),
        ([1, 2, 3, 4], r"the detector gave int64 \[4\]"),
        ([[1, 2, 3]], r"the detector gave int64 \[1, 3\]"),
        ([[1, 2, 3, 4], [1, 2]], "the detector gave list"),
        (np.ones((1, 4), bool), r"the detector gave bool \[1, 4\]"),
        ([[1, 2, 3, 4], [1, 2, float("nan"), 4]], r"box 1 is \[1.0, 2.0, nan, 4.0\]; expected"),
        ([[1, 2, float("inf"), 4]], "box 0 is"),
        ([[1, 2, 3, 0]], "with a width and height above 0"),
        ([[1, 2, -3, 4]], "with a width and height above 0"),
    ],
)
def test_answers_that_are_no_boxes(found, error):
    with pytest.raises(InputError, match=error):
        as_boxes(found, IMAGE)


def test_thousands_of_boxes():
    found = np.random.default_rng(0).uniform(1, 90, (5000, 4))
    boxes = as_boxes(found, IMAGE)
    assert len(boxes) == 5000
    assert (np.diff(boxes[:, 0]) >= 0).all()


def test_scores_stay_with_their_boxes():
    found = Detections(
        np.array([[150, 20, 10, 10], [300, 0, 9, 9], [-5, -5, 20, 20]], np.int32),
        np.array([0.7, 0.9, 0.8], np.float32),
    )
    checked = as_detections(found, IMAGE)
    assert checked.boxes.tolist() == [[0, 0, 15, 15], [150, 20, 10, 10]]
    assert checked.scores.tolist() == pytest.approx([0.8, 0.7])
    assert as_boxes(found, IMAGE).tolist() == checked.boxes.tolist()


def test_faces_below_the_lowest_score_are_left_out():
    found = Detections(np.array([[1, 2, 3, 4], [9, 2, 3, 4]], np.int32), np.array([0.5, 0.4], np.float32))
    assert as_detections(found, IMAGE, min_score=0.5).boxes.tolist() == [[1, 2, 3, 4]]
    with pytest.raises(InputError, match="boxes without scores"):
        as_detections(found.boxes, IMAGE, min_score=0.5)


def test_boxes_alone_have_no_scores():
    boxes = [[1, 2, 3, 4]]
    for found in (boxes, Detections(np.array(boxes, np.int32))):
        checked = as_detections(found, IMAGE)
        assert (checked.boxes.tolist(), checked.scores) == (boxes, None)


@pytest.mark.parametrize("scores", [[0.5], [0.5, float("nan")], [1, 2], "ab", [[0.5, 0.5]]])
def test_answers_that_are_no_scores(scores):
    found = Detections(np.array([[1, 2, 3, 4], [9, 2, 3, 4]], np.int32), scores)
    with pytest.raises(InputError, match=r"gave scores .* for 2 boxes; expected one finite number"):
        as_detections(found, IMAGE)
