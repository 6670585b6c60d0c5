"""Measures against votes, by hand on faces with few of them."""

import dataclasses
import json

import numpy as np
import pytest

from fer_engine.artifact.schema import from_json, to_json
from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError, DataError
from fer_export.verify import parity
from fer_export.verify.votes import VotedAccuracy, measure_votes
from fer_train.data.votes import COLUMNS

NAMES = ("happy", "sad", "neutral")


def votes_of(*faces):
    """The votes of faces, each given by column."""
    return np.array([[face.get(name, 0) for name in COLUMNS] for face in faces], np.uint8)


def logits_of(*answers, confidence=0.8):
    """Three-class logits that give each answer this probability."""
    shares = np.full((len(answers), 3), (1 - confidence) / 2)
    shares[np.arange(len(answers)), answers] = confidence
    return np.log(shares)


VOTES = votes_of(
    {"happiness": 10},
    {"happiness": 8, "neutral": 2},
    {"sadness": 6, "fear": 4},  # a majority; fear is no label of the network
    {"sadness": 5, "neutral": 5},  # split
    {"happiness": 3, "contempt": 7},  # split too: most named none of the labels
    {"NF": 10},  # no vote for a label
    {},  # nobody voted
)
WAS = logits_of(0, 0, 1, 1, 0, 2, 2)
NOW = logits_of(0, 2, 0, 2, 0, 0, 2)


def test_accuracy_and_flips_are_of_the_faces_with_a_majority():
    found = measure_votes(WAS, NOW, VOTES, NAMES)
    assert (found.faces, found.split_faces) == (3, 2)
    assert (found.accuracy, found.reference_accuracy) == pytest.approx((1 / 3, 1.0))
    assert found.interval == parity.wilson_interval(1, 3)
    assert found.reference_interval == parity.wilson_interval(3, 3)
    assert (found.right_to_wrong, found.wrong_to_right, found.mcnemar_p) == (2, 0, parity.mcnemar_p(2, 0))
    assert found.recall == (0.5, 0.0, None)
    assert found.recall_difference == (-0.5, -1.0, None)
    assert found.confusion == ((1, 0, 1), (1, 0, 0), (0, 0, 0))


def test_flips_are_told_apart_where_annotators_were_split():
    found = measure_votes(WAS, NOW, VOTES, NAMES)
    # Of the faces without a vote for a label one changed too: it is in neither.
    assert (found.changed_clear, found.changed_split) == (2, 1)
    same = measure_votes(WAS, WAS, VOTES, NAMES)
    assert (same.changed_clear, same.changed_split) == (0, 0)


def test_calibration_is_against_the_share_of_votes_for_the_answer():
    found = measure_votes(WAS, NOW, VOTES, NAMES)
    # Confidence is 0.8 throughout; shares are of the votes for the three labels, on five faces.
    assert found.reference_ece == pytest.approx(abs(np.mean([1.0, 0.8, 1.0, 0.5, 1.0]) - 0.8))
    assert found.ece == pytest.approx(abs(np.mean([1.0, 0.2, 0.0, 0.5, 1.0]) - 0.8))


def test_probabilities_that_are_the_shares_have_no_calibration_error():
    counts = np.random.default_rng(0).multinomial(10, [0.5, 0.3, 0.2], 200)
    votes = votes_of(*(dict(zip(("happiness", "sadness", "neutral"), row, strict=True)) for row in counts))
    logits = np.log(np.maximum(counts / 10, 1e-9))
    assert measure_votes(logits, logits, votes, NAMES).ece == pytest.approx(0.0, abs=1e-6)
    assert measure_votes(logits, 3 * logits, votes, NAMES).ece > 0.1


def test_unanimous_votes_measure_as_labels_do():
    draw = np.random.default_rng(1)
    labels = np.arange(70) % 7
    columns = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    votes = votes_of(*({columns[label]: 10} for label in labels))
    reference, candidate = draw.normal(size=(2, 70, 7)).astype(np.float32)
    found = measure_votes(reference, candidate, votes, EXPRESSIONS)
    labelled = parity.measure_parity(reference, candidate, labels).labelled
    inherited = {field.name: getattr(found, field.name) for field in dataclasses.fields(parity.Accuracy)}
    assert parity.Accuracy(**inherited) == labelled


def test_the_result_survives_json():
    found = measure_votes(WAS, NOW, VOTES, NAMES)
    assert from_json(VotedAccuracy, json.loads(json.dumps(to_json(found)))) == found


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"names": ("happy", "sad", "calm")}, ConfigError, "FER\\+ has no votes for calm"),
        ({"names": ("happy", "sad")}, ConfigError, "have 3 classes, but 2 labels were given: happy, sad"),
        ({"votes": VOTES[:3]}, DataError, r"'votes' is uint8 \[3, 10\], expected uint8 \[7, 10\]"),
        ({"votes": votes_of(*[{"fear": 10}] * 7)}, ConfigError, "none of the 7 faces has a majority"),
        ({"candidate": NOW[:3]}, ConfigError, r"one shape .* got \[7, 3\] and \[3, 3\]"),
        ({"candidate": NOW * np.nan}, ConfigError, "the candidate gave 21"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, error, message):
    given = {"reference": WAS, "candidate": NOW, "votes": VOTES, "names": NAMES} | change
    with pytest.raises(error, match=message):
        measure_votes(**given)
