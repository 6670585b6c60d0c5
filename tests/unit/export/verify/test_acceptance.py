import numpy as np
import pytest

from fer_engine.errors import ConfigError
from fer_engine.selection.speed_probe import Candidate, Measured
from fer_export.verify.acceptance import Thresholds, judge
from fer_export.verify.comparison import COMPARISONS
from fer_export.verify.detections import DetectionParity
from fer_export.verify.parity import measure_parity

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=(1000, 7)).astype(np.float32)
LABELS = REFERENCE.argmax(1)


def parity(wrong: int, labels=LABELS):
    """Give the parity of a candidate with another answer on `wrong` of 1,000 faces."""
    candidate = REFERENCE.copy()
    candidate[:wrong] = np.roll(candidate[:wrong], 1, axis=1)
    return measure_parity(REFERENCE, candidate, labels)


def gate(wrong=0, labels=LABELS, speeds=None, failures=None, **thresholds):
    """Judge int8 with so many wrong answers; a dict of them has them by backend."""
    measured = Measured(
        {Candidate(*name.split("/")): speed for name, speed in (speeds or {}).items()},
        {Candidate(*name.split("/")): reason for name, reason in (failures or {}).items()},
    )
    parities = {}
    for precision, backend in measured.speeds:
        count = wrong.get(backend, 0) if isinstance(wrong, dict) else wrong
        parities[precision, backend] = parity(0 if precision == "fp32" else count, labels)
    return judge(parities, measured, Thresholds(**thresholds), COMPARISONS["classification"])


EVEN = {"fp32/onnxruntime": 100.0, "int8/onnxruntime": 100.0}


def test_accepts_what_keeps_the_answers_and_the_speed():
    found = gate(wrong=10, speeds=EVEN)
    verdict = found.verdicts["int8"]
    assert verdict.accepted
    assert verdict.trials["onnxruntime"].answers == pytest.approx(0.99)
    assert verdict.speed == 1.0
    assert found.refusals() == {}


def test_refuses_lost_accuracy_with_the_figures():
    found = gate(wrong=11, speeds=EVEN)
    assert found.refusals() == {"int8": "98.90% of the accuracy on onnxruntime, at least 99.00% is required"}
    assert gate(wrong=11, speeds=EVEN, accuracy=0.98).verdicts["int8"].accepted


def test_refuses_what_is_slower_and_names_the_rivals():
    found = gate(speeds={"fp32/onnxruntime": 100.0, "int8/onnxruntime": 35.0})
    assert found.refusals()["int8"] == (
        "0.35x the speed of FP32 (onnxruntime against onnxruntime), at least 1.00x is required"
    )
    assert not gate(speeds={"fp32/onnxruntime": 100.0, "int8/onnxruntime": 35.0}, speed=0.3).refusals()


def test_both_reasons_are_given():
    found = gate(wrong=500, speeds={"fp32/onnxruntime": 100.0, "int8/onnxruntime": 50.0})
    assert "accuracy" in found.refusals()["int8"]
    assert "speed" in found.refusals()["int8"]


def test_compares_the_best_backend_of_each_precision():
    speeds = {
        "fp32/onnxruntime": 100.0,
        "fp32/openvino": 80.0,
        "int8/onnxruntime": 50.0,
        "int8/openvino": 120.0,
    }
    verdict = gate(speeds=speeds).verdicts["int8"]
    assert verdict.accepted
    assert (verdict.backend, verdict.speed) == ("openvino", 1.2)
    assert {name: trial.speed for name, trial in verdict.trials.items()} == {
        "onnxruntime": 50.0,
        "openvino": 120.0,
    }


def test_a_fast_backend_that_loses_the_answers_does_not_count():
    speeds = {"fp32/onnxruntime": 100.0, "int8/onnxruntime": 50.0, "int8/openvino": 150.0}
    found = gate(wrong={"openvino": 90}, speeds=speeds)
    assert found.refusals()["int8"].startswith("0.50x the speed of FP32 (onnxruntime against")
    found = gate(wrong={"openvino": 90}, speeds={**speeds, "int8/onnxruntime": 110.0})
    assert found.verdicts["int8"].backend == "onnxruntime"
    assert found.verdicts["int8"].accepted


def test_without_labels_agreement_decides():
    found = gate(wrong=80, labels=None, speeds=EVEN)
    assert found.answers == "agreement"
    assert found.refusals() == {
        "int8": "92.00% agreement with the reference on onnxruntime, at least 93.00% is required"
    }
    assert not gate(wrong=70, labels=None, speeds=EVEN).refusals()


def test_what_no_backend_ran_is_refused_and_says_why():
    found = gate(speeds={"fp32/onnxruntime": 100.0}, failures={"int8/onnxruntime": "no kernel"})
    assert "onnxruntime: no kernel" in found.refusals()["int8"]
    assert found.verdicts["int8"].failures == {"onnxruntime": "no kernel"}


def test_fp32_is_the_reference_and_never_refused():
    assert gate(speeds=EVEN, accuracy=1, speed=2).refusals().keys() == {"int8"}
    broken = gate(failures={"fp32/onnxruntime": "broken", "int8/onnxruntime": "broken"})
    assert broken.verdicts["fp32"].accepted


def judge_boxes(shares, **thresholds):
    """Judge detectors that share so many boxes with the reference, by precision."""
    measured = Measured({Candidate(name, "onnxruntime"): 100.0 for name in shares}, {})
    parities = {
        candidate: DetectionParity(9, shares[candidate.precision], 0, 9, 9, 0.0, 0.0, 1.0, 9, 0.0, 0.0)
        for candidate in measured.speeds
    }
    return judge(parities, measured, Thresholds(**thresholds), COMPARISONS["detection"])


def test_a_detector_is_judged_by_its_boxes_in_float16_more_strictly():
    found = judge_boxes({"fp32": 1.0, "fp16": 0.99, "int8": 0.98, "int8-cpu": 0.96})
    assert found.refusals() == {
        "fp16": "99.00% of the boxes are those of the reference on onnxruntime, at least 99.50% is required",
        "int8-cpu": (
            "96.00% of the boxes are those of the reference on onnxruntime, at least 97.00% is required"
        ),
    }
    assert found.thresholds == {"accuracy": 0.99, "agreement": 0.97, "agreement_fp16": 0.995, "speed": 1.0}
    given = judge_boxes({"fp32": 1.0, "fp16": 0.99, "int8": 0.98}, agreement=0.985)
    assert given.refusals().keys() == {"int8"}
    assert given.thresholds == {"accuracy": 0.99, "agreement": 0.985, "speed": 1.0}


@pytest.mark.parametrize(
    "bad", [{"accuracy": 99}, {"agreement": -0.1}, {"speed": -1}, {"speed": float("nan")}]
)
def test_bad_thresholds_are_refused(bad):
    with pytest.raises(ConfigError, match=f"gate's {next(iter(bad))} must be"):
        Thresholds(**bad)
