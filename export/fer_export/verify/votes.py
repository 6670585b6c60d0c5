"""Paired measures of two networks against FER+'s votes on the same faces.

FER2013's original label is one opinion on a face, and often a wrong one; FER+ asked ten annotators. What most
of them saw is the label here, and the share of them who gave an answer is how right it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_engine.errors import ConfigError
from fer_export.verify import parity
from fer_export.verify.parity import Logits
from fer_train.data.votes import Votes, check_votes, distribution, majority
from fer_train.measures import confusion_counts, expected_calibration_error


@dataclass(frozen=True, slots=True, kw_only=True)
class VotedAccuracy(parity.Accuracy):
    """Measures against the label that more than half of a face's annotators gave.

    `faces` is the number of faces with such a majority; `accuracy` and the other fields of `Accuracy`, but
    for the calibration errors, are over these. `split_faces` is the number of faces with votes for the
    labels and without a majority for one: annotators were split, or most of them named none of the labels.
    `ece` and `reference_ece` are over both: the gap between the confidence in an answer and its share of the
    votes for the labels.

    `changed_clear` of `faces` and `changed_split` of `split_faces` got another answer than the reference's.
    `confusion` counts the candidate's answers (columns) to the faces of each majority (rows).
    """

    faces: int
    split_faces: int
    changed_clear: int
    changed_split: int
    confusion: tuple[tuple[int, ...], ...]


def measure_votes(reference: Logits, candidate: Logits, votes: Votes, names: Sequence[str]) -> VotedAccuracy:
    """Measure two networks' logits, both [n, len(names)], against the votes for the same n faces.

    A network alone is its own reference.

    Args:
        reference: Float [n, len(names)].
        candidate: Float [n, len(names)].
        votes: uint8 [n, 10], in the order of `fer_train.data.votes.COLUMNS`; see there for how votes for
            other labels than `names` count.
        names: The networks' labels.

    Raises:
        ConfigError: the logits differ in shape or are not finite, FER+ has no votes for a label, or no face
            has a majority.
        DataError: the votes have another shape.
    """
    parity.check_logits(reference, candidate)
    check_votes(votes, len(reference), "the votes")
    if reference.shape[1] != len(names):
        raise ConfigError(
            f"the networks have {reference.shape[1]} classes, but {len(names)} labels were given: "
            f"{', '.join(names)}"
        )
    reference, candidate = reference.astype(np.float64), candidate.astype(np.float64)
    labels, shares = majority(votes, names), distribution(votes, names)
    clear, voted = labels >= 0, shares.sum(1) > 0
    if not clear.any():
        raise ConfigError(
            f"none of the {len(votes)} faces has a majority of votes for one of {', '.join(names)}, against "
            "which accuracy is measured; give more faces, or leave out the votes"
        )
    was, now = reference.argmax(1), candidate.argmax(1)
    changed, split = was != now, voted & ~clear
    errors = {
        name: expected_calibration_error(
            logits[voted], shares[np.arange(len(votes)), logits.argmax(1)][voted]
        )
        for name, logits in (("ece", candidate), ("reference_ece", reference))
    }
    against = parity.measure_accuracy(reference[clear], candidate[clear], labels[clear])
    return VotedAccuracy(
        **dataclasses.asdict(against) | errors,
        faces=int(clear.sum()),
        split_faces=int(split.sum()),
        changed_clear=int((changed & clear).sum()),
        changed_split=int((changed & split).sum()),
        confusion=tuple(
            tuple(row) for row in confusion_counts(labels[clear], now[clear], len(names)).tolist()
        ),
    )
