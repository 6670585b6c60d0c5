"""How the outputs of two networks are compared and judged, by their task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_export.verify.detections import DetectionParity, check_found, measure_detections, scores_and_boxes
from fer_export.verify.parity import Labels, Logits, Parity, check_logits, measure_parity

AnyParity = Parity | DetectionParity


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared in one task.

    `measure(reference, candidate, labels, spec)` compares the outputs of two networks on the same faces.
    `scales(outputs)` parts outputs into those of one unit. `check(reference, spec, source)` makes sure
    that other precisions can be judged by the reference's outputs on the faces called `source`.

    `agreement` is the least agreement that the gate accepts, `agreement_fp16` that of float16, `unit` what it
    is a share of.
    """

    measure: Callable[[Logits, Logits, Labels | None, ModelSpec], AnyParity]
    scales: Callable[[Logits], tuple[NDArray[Any], ...]]
    check: Callable[[Logits, ModelSpec, str], None]
    agreement: float
    agreement_fp16: float
    unit: str

    def least_agreement(self, precision: str) -> float:
        """Return the least agreement that the gate accepts of a precision."""
        return self.agreement_fp16 if precision == "fp16" else self.agreement


def _answers(reference: Logits, candidate: Logits, labels: Labels | None, spec: ModelSpec) -> Parity:
    return measure_parity(reference, candidate, labels, spec.task)


def _boxes(reference: Logits, candidate: Logits, _: Labels | None, __: ModelSpec) -> DetectionParity:
    check_logits(reference, candidate)
    return measure_detections(reference, candidate)


_OF_FACES = Comparison(
    measure=_answers,
    scales=lambda outputs: (outputs,),
    check=lambda *_: None,
    # Synthetic faces lie nearer to the borders between the classes: what comes to 93 % there comes to
    # about 97 % on real ones.
    agreement=0.93,
    agreement_fp16=0.93,
    unit="agreement with the reference",
)
COMPARISONS = {
    "classification": _OF_FACES,
    "regression": _OF_FACES,
    "detection": Comparison(
        measure=_boxes,
        scales=scores_and_boxes,
        check=check_found,
        # INT8 loses boxes that the reference is hardly sure of itself: 98 % are left of a trained detector.
        agreement=0.97,
        agreement_fp16=0.995,
        unit="of the boxes are those of the reference",
    ),
}
