"""How far two detectors agree, on outputs written by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fer_engine.artifact.schema import to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, DataError
from fer_export.verify.comparison import COMPARISONS
from fer_export.verify.detections import check_found, measure_detections, scores_and_boxes

SPEC = ModelSpec("finder", labels=("face",), task="detection", height=32, width=32, output="boxes")
BACKGROUND = (-9.0, 0.0, 0.0, 8.0, 8.0)
FACE = (3.0, 4.0, 4.0, 20.0, 20.0)
FAR = (2.0, 100.0, 100.0, 20.0, 20.0)
WEAK = (-1.6, 50.0, 50.0, 10.0, 10.0)  # a score of 0.17
WEAKER = (-1.9, 50.0, 50.0, 10.0, 10.0)  # 0.13
WEAKEST = (-2.5, 50.0, 50.0, 10.0, 10.0)  # 0.08


def outputs(*pictures) -> np.ndarray:
    """Give the outputs for pictures that show the given boxes, and else background."""
    rows = np.full((len(pictures), SPEC.anchors, 5), BACKGROUND, np.float32)
    for row, boxes in zip(rows, pictures, strict=True):
        for anchor, box in zip(row, boxes, strict=False):
            anchor[:] = box
    return rows.reshape(len(pictures), -1)


def test_a_detector_agrees_with_itself():
    found = measure_detections(outputs([FACE, FAR], []), outputs([FACE, FAR], []))
    assert (found.pictures, found.found, found.reference_found) == (2, 2, 2)
    assert (found.agreement, found.changed, found.likely) == (1.0, 0, 2)
    assert found.max_score_difference == found.max_box_error == 0.0
    assert found.score_range == 12.0
    assert found.labelled is None


def test_noise_in_the_boxes_of_the_background_is_none():
    reference, candidate = outputs([FACE]), outputs([FACE])
    candidate.reshape(-1, 5)[5:, 1:] += 50
    found = measure_detections(reference, candidate)
    assert (found.agreement, found.max_box_error) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("given", "changed", "share"),
    [
        ([FACE], 1, 2 / 3),  # one is lost
        ([FACE, FAR, (5.0, 200.0, 200.0, 20.0, 20.0)], 1, 4 / 5),  # one is new
        ([FACE, (2.0, 112.0, 100.0, 20.0, 20.0)], 2, 2 / 4),  # one has moved by more than half
        ([FACE, (2.0, 103.0, 100.0, 20.0, 20.0)], 0, 1.0),  # by less
        ([], 2, 0.0),
    ],
)
def test_boxes_lost_new_and_moved_count(given, changed, share):
    found = measure_detections(outputs([FACE, FAR]), outputs(given))
    assert (found.changed, found.agreement) == (changed, pytest.approx(share))


def test_boxes_of_other_pictures_are_no_partners():
    assert measure_detections(outputs([FACE], [FAR]), outputs([FAR], [FACE])).agreement == 0.0


def test_a_box_at_the_threshold_may_fall_to_either_side_of_it():
    assert measure_detections(outputs([WEAK]), outputs([WEAKER])).agreement == 1.0
    assert measure_detections(outputs([WEAKER]), outputs([WEAK])).agreement == 1.0
    assert measure_detections(outputs([WEAK]), outputs([WEAKEST])).agreement == 0.0


def test_boxes_of_one_face_count_once():
    twice = [FACE, (2.5, 5.0, 5.0, 20.0, 20.0)]
    found = measure_detections(outputs(twice), outputs([FACE]))
    assert (found.reference_found, found.found, found.agreement) == (1, 1, 1.0)
    assert found.likely == 2


def test_errors_are_in_pixels_and_differences_in_logits():
    reference, candidate = outputs([FACE, FAR]), outputs([FACE, FAR])
    candidate.reshape(-1, 5)[0] += (0.5, 1.0, 0.0, -2.0, 0.0)
    found = measure_detections(reference, candidate)
    assert (found.max_box_error, found.mean_box_error) == (2.0, 1.0)
    assert found.max_score_difference == 0.5
    assert found.mean_score_difference == pytest.approx(0.5 / SPEC.anchors)


def test_a_detector_that_finds_nothing_agrees_and_judges_nobody():
    assert measure_detections(outputs([]), outputs([])).agreement == 1.0
    with pytest.raises(DataError, match=r"finder finds nothing in noise, .* give pictures with faces with"):
        check_found(outputs([], []), SPEC, "noise")
    check_found(outputs([], [WEAK]), SPEC, "noise")


def test_outputs_part_into_what_has_one_unit():
    scores, boxes = scores_and_boxes(outputs([FACE]))
    assert (scores.shape, boxes.shape) == ((1, SPEC.anchors), (1, SPEC.anchors, 4))
    assert (scores[0, 0], boxes[0, 0].tolist()) == (3.0, [4.0, 4.0, 20.0, 20.0])


def test_the_comparison_of_the_task_refuses_what_is_not_finite():
    broken = outputs([FACE])
    broken[0, 7] = np.nan
    with pytest.raises(ConfigError, match="the candidate gave 1 that are infinite or not a number"):
        COMPARISONS["detection"].measure(outputs([FACE]), broken, None, SPEC)


def test_the_result_survives_json():
    found = measure_detections(outputs([FACE]), outputs([FACE]))
    data = json.loads(json.dumps(to_json(found)))
    assert data["reference_found"] == 1
    assert "labelled" not in data
