import json

import numpy as np
import pytest
from scipy import stats

from fer_engine.artifact.schema import to_json
from fer_engine.errors import ConfigError
from fer_export.verify import parity


def logits_of(answers, classes=3, height=4.0):
    """Logits whose top answer is as given."""
    return np.eye(classes)[answers] * height


def test_a_network_agrees_with_itself():
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    labels = np.arange(50) % 7
    result = parity.measure_parity(logits, logits, labels)
    assert result.faces == 50
    assert result.agreement == 1.0
    assert result.changed == 0
    assert result.max_abs_difference == result.mean_abs_difference == 0.0
    assert result.logit_range == pytest.approx(logits.max() - logits.min())
    assert result.labelled.mcnemar_p == 1.0
    assert result.labelled.accuracy == result.labelled.reference_accuracy
    assert result.labelled.recall_difference == (0.0,) * 7


def test_flips_accuracy_and_recall_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1])
    reference = logits_of([0, 0, 0, 1, 1, 2])  # 4 right
    candidate = logits_of([0, 1, 1, 0, 1, 0])  # 3 right: two lost, one won, one wrong both times
    result = parity.measure_parity(reference, candidate, labels)
    assert result.agreement == pytest.approx(2 / 6)
    assert result.changed == 4
    assert result.max_abs_difference == 4.0
    assert result.mean_abs_difference == pytest.approx(4 * 2 * 4.0 / 18)
    found = result.labelled
    assert (found.right_to_wrong, found.wrong_to_right) == (2, 1)
    assert (found.reference_accuracy, found.accuracy) == pytest.approx((4 / 6, 3 / 6))
    assert found.recall == (0.5, 0.5, None)
    assert found.recall_difference == (-0.25, 0.0, None)


def test_without_labels_only_the_label_free_measures_are_given():
    result = parity.measure_parity(logits_of([0, 1]), logits_of([0, 2]))
    assert result.labelled is None
    assert result.changed == 1


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0])
def test_a_regression_agrees_where_its_values_are_near_in_any_unit(unit):
    reference = np.array([[-1.0, 3.0], [1.0, 3.0], [0.0, 3.0]]) * unit
    near, far, constant = np.zeros((3, 3, 2))
    near[0, 0], far[0, 0], constant[0, 1] = 0.04 * unit, 0.06 * unit, 0.01 * unit

    def agreement(moved):
        return parity.measure_parity(reference, reference + moved, task="regression").agreement

    assert agreement(near) == 1.0  # the second value is a constant, and stays
    assert agreement(far) == agreement(constant) == pytest.approx(2 / 3)


def test_the_result_survives_json():
    result = parity.measure_parity(logits_of([0, 1]), logits_of([0, 2]), np.array([0, 1]))
    data = json.loads(json.dumps(to_json(result)))
    assert data["agreement"] == 0.5
    assert data["labelled"]["right_to_wrong"] == 1
    assert data["labelled"]["recall"] == [1.0, 0.0, None]


@pytest.mark.parametrize(
    ("lost", "won"), [(0, 0), (1, 0), (3, 9), (40, 40), (57, 31), (1200, 1350), (0, 4000)]
)
def test_mcnemar_is_the_exact_binomial_test(lost, won):
    expected = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert parity.mcnemar_p(lost, won) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert parity.mcnemar_p(won, lost) == parity.mcnemar_p(lost, won)


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (2325, 3589), (1, 2)])
def test_wilson_interval_is_scipys(right, total):
    expected = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert parity.wilson_interval(right, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("reference", "candidate", "labels", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3)), None, r"one shape .* got \[2, 3\] and \[3, 3\]"),
        (np.zeros((0, 3)), np.zeros((0, 3)), None, "n at least 1"),
        (np.zeros(3), np.zeros(3), None, "one shape"),
        (np.zeros((2, 3)), np.full((2, 3), np.nan), None, "candidate gave 6"),
        (np.full((1, 3), np.inf), np.zeros((1, 3)), None, "reference gave 3"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.array([0, 3]), "labels 0 to 3"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.array([-1, 0]), "labels -1 to 0"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.array([0]), r"shape \[1\]"),
    ],
)
def test_what_cannot_be_compared_is_refused(reference, candidate, labels, message):
    with pytest.raises(ConfigError, match=message):
        parity.measure_parity(reference, candidate, labels)
