"""Paired measures of two detectors on the same pictures: their scores, and the boxes that they find.

Most anchors show background, where boxes are noise: boxes are compared where one of the two sees a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ANCHOR_VALUES, ModelSpec
from fer_engine.errors import DataError
from fer_engine.vision.finder.candidates import MIN_SCORE, MOST, Candidates

Outputs = NDArray[np.floating]

SAME_BOX = 0.5  # intersection over union from which on two boxes show the same face (PASCAL VOC, 2010)
# With this score the other network finds a box too: one at the finder's threshold may fall to either side.
STILL_FOUND = 0.1


@dataclass(frozen=True, slots=True)
class DetectionParity:
    """How close a detector's boxes are to the reference's on the same pictures.

    `found` and `reference_found` count the candidates of the face finder: the anchors with a score above
    MIN_SCORE that non-maximum suppression leaves. `agreement` is the share of both that the other network
    finds as well, with an intersection over union above SAME_BOX and a score above STILL_FOUND, and `changed`
    the number of the rest; with no box at all it is 1.

    Score differences are those of the logits of all anchors, and `score_range` the reference's largest less
    its smallest. Box errors, in pixels, are those of the side of a box that moved most: left, top, width or
    height. They are over the `likely` anchors, those with a score above MIN_SCORE in either.
    """

    pictures: int
    agreement: float
    changed: int
    found: int
    reference_found: int
    max_score_difference: float
    mean_score_difference: float
    score_range: float
    likely: int
    max_box_error: float
    mean_box_error: float

    @property
    def labelled(self) -> None:
        """There are no labels: boxes are compared with the reference's alone."""


def measure_detections(reference: Outputs, candidate: Outputs) -> DetectionParity:
    """Compare two detectors' outputs, both [n, 5 anchors] and finite, on the same n pictures."""
    was, now = (_anchors(outputs) for outputs in (reference, candidate))
    difference = np.abs(now[..., 0] - was[..., 0])
    chosen = np.maximum(was[..., 0], now[..., 0]) > _logit(MIN_SCORE)
    errors = np.abs(now[chosen, 1:] - was[chosen, 1:]).max(1) if chosen.any() else np.zeros(1)
    kept = [_find(anchors, MIN_SCORE) for anchors in (was, now)]
    near = [_find(anchors, STILL_FOUND) for anchors in (was, now)]
    found = [sum(map(len, boxes)) for boxes in kept]
    pairs = [*zip(kept[0], near[1], strict=True), *zip(kept[1], near[0], strict=True)]
    changed = sum(_without_partner(boxes, others) for boxes, others in pairs)
    return DetectionParity(
        pictures=len(was),
        agreement=1 - changed / max(sum(found), 1),
        changed=changed,
        found=found[1],
        reference_found=found[0],
        max_score_difference=float(difference.max()),
        mean_score_difference=float(difference.mean()),
        score_range=float(np.ptp(was[..., 0])),
        likely=int(chosen.sum()),
        max_box_error=float(errors.max()),
        mean_box_error=float(errors.mean()),
    )


def scores_and_boxes(outputs: Outputs) -> tuple[Outputs, Outputs]:
    """Part outputs, [n, 5 anchors], into the scores, [n, anchors], and the boxes, [n, anchors, 4]."""
    anchors = _anchors(outputs)
    return anchors[..., 0], anchors[..., 1:]


def check_found(outputs: Outputs, spec: ModelSpec, source: str) -> None:
    """Check that a detector finds something in the pictures that other precisions are judged on.

    Raises:
        DataError: it finds nothing.
    """
    if not any(map(len, _find(_anchors(outputs), MIN_SCORE))):
        raise DataError(
            f"{spec.name} finds nothing in {source}, on which other precisions are judged by the boxes that "
            "they find: give pictures with faces with --data, or export without --fp16 and --int8"
        )


def _anchors(outputs: Outputs) -> Outputs:
    return outputs.reshape(len(outputs), -1, ANCHOR_VALUES)


def _logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def _find(anchors: Outputs, score: float) -> list[Outputs]:
    """Return the boxes, [k, 4], that are found in each picture with at least a score."""
    found = []
    for picture in anchors:
        likely = picture[picture[:, 0] > _logit(score)]
        found.append(Candidates(likely[:, 1:], likely[:, 0]).best(MOST).boxes)
    return found


def _without_partner(boxes: Outputs, others: Outputs) -> int:
    """Count the boxes that no other box lies on."""
    ends = [part[:, :2] + part[:, 2:] for part in (boxes, others)]
    near = np.maximum(boxes[:, np.newaxis, :2], others[np.newaxis, :, :2])
    far = np.minimum(ends[0][:, np.newaxis], ends[1][np.newaxis])
    shared = np.prod((far - near).clip(0), axis=2)
    areas = [np.prod(part[:, 2:], axis=1) for part in (boxes, others)]
    union = areas[0][:, np.newaxis] + areas[1] - shared
    return int((~(shared > SAME_BOX * union).any(1)).sum())
