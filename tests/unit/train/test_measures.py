"""Measures of answers, held against cases computed by hand."""

import numpy as np
import pytest

from fer_train.measures import confusion_counts, expected_calibration_error


def with_confidence(*confidences):
    """Two-class logits whose softmax gives the first class these probabilities."""
    return np.array([np.log([p, 1 - p]) for p in confidences])


def test_calibration_error_by_hand():
    # Two bins of (10/15, 11/15] and (13/15, 14/15]: three faces at 0.7, one right; one at 0.9, right.
    right = np.array([True, False, False, True])
    expected = (3 * abs(1 / 3 - 0.7) + 1 * abs(1 - 0.9)) / 4
    assert expected_calibration_error(with_confidence(0.7, 0.7, 0.7, 0.9), right) == pytest.approx(expected)


def test_errors_within_a_bin_cancel_and_across_bins_do_not():
    same_bin = np.array([True, True, True, False])
    assert expected_calibration_error(with_confidence(*[0.75] * 4), same_bin) == pytest.approx(0.0)
    expected = (abs(1 - 0.6) + abs(0 - 0.9)) / 2
    two_bins = np.array([True, False])
    assert expected_calibration_error(with_confidence(0.6, 0.9), two_bins) == pytest.approx(expected)


def test_certain_answers_fall_into_the_last_bin():
    certain = np.eye(3)[[0, 1]] * 1000.0
    assert expected_calibration_error(certain, np.array([True, True])) == 0.0


def test_an_answer_may_be_right_in_part():
    logits = with_confidence(0.7, 0.9)
    assert expected_calibration_error(logits, np.array([0.7, 0.9])) == pytest.approx(0.0)
    assert expected_calibration_error(logits, np.array([0.5, 0.9])) == pytest.approx(0.1)


def test_confusion_has_a_row_for_each_truth():
    found = confusion_counts(np.array([0, 0, 2], np.uint8), np.array([0, 1, 1]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
