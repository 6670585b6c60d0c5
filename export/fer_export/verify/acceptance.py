"""The gate: a precision is accepted if it keeps the accuracy and is as fast as FP32, else refused.

Only measurements tell, and for one machine at a time: where a runtime finds no integer kernels, INT8 runs
at half the speed of FP32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Gate, Manifest, Trial, Verdict
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_engine.runtime.backend import BackendOptions, Logits, Model, available_backends
from fer_engine.selection.speed_probe import FACES, Candidate, Measured, measure_speeds, open_runner
from fer_engine.system import cpu, progress
from fer_export.verify.comparison import COMPARISONS, AnyParity, Comparison
from fer_export.verify.samples import Samples

REFERENCE = "fp32"
# A verdict stays with the artifact, so it is measured for longer than the backend of one load.
ROUNDS = 25
BUDGET = 4.0  # seconds


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a precision must reach against FP32; each is a share of FP32's own figure.

    Without labels there is no accuracy, and agreement with the reference's answers stands in for it; None
    for the task's own, see `fer_export.verify.comparison`.
    """

    accuracy: float = 0.99  # MLPerf's bar for most models
    agreement: float | None = None
    speed: float = 1.0  # slower than FP32 is no reason to give up anything

    def __post_init__(self) -> None:
        for name in ("accuracy", "agreement"):
            given = getattr(self, name)
            if given is not None and not 0 <= given <= 1:
                raise ConfigError(
                    f"the gate's {name} must be in [0, 1], got {given}; 0.99 asks for 99 % of FP32's"
                )
        if not 0 <= self.speed < float("inf"):
            raise ConfigError(f"the gate's speed must be 0 or more, got {self.speed}; 1 asks for FP32's own")

    def least_agreement(self, comparison: Comparison, precision: str) -> float:
        """Return the agreement that a precision must reach where there is no accuracy."""
        return comparison.least_agreement(precision) if self.agreement is None else self.agreement


def judge_graphs(
    graphs: Mapping[str, onnx.ModelProto],
    spec: ModelSpec,
    output: Path,
    samples: Samples,
    reference: Logits,
    thresholds: Thresholds,
) -> Gate:
    """Measure every precision on every backend that is installed here; return the verdicts.

    `reference` are the reference's outputs on `samples`, float32 [n, spec.outputs]; `output` is the artifact
    that error messages name.
    """
    unwritten = Artifact(output, Manifest(spec, {}))
    models = {
        precision: Model(unwritten, precision, graph.SerializeToString(deterministic=True))
        for precision, graph in graphs.items()
    }
    candidates = [Candidate(precision, backend) for precision in models for backend in available_backends()]
    settings, comparison = BackendOptions(), COMPARISONS[spec.task]
    with progress.bar("measure every precision on every backend", len(candidates) + 1) as advance:
        measured = measure_speeds(models, candidates, settings, ROUNDS, BUDGET)
        advance(1)
        parities = {}
        for candidate in measured.speeds:
            with open_runner(models[candidate.precision], candidate.backend, settings) as run:
                outputs = run(samples.faces)
                parities[candidate] = comparison.measure(reference, outputs, samples.labels, spec)
            advance(1)
    return judge(parities, measured, thresholds, comparison)


def judge(
    parities: Mapping[Candidate, AnyParity],
    measured: Measured,
    thresholds: Thresholds,
    comparison: Comparison,
) -> Gate:
    """Return a verdict on every precision.

    `parities` holds the parity with the reference of every candidate that ran.
    """
    trials: dict[str, dict[str, Trial]] = {}
    for candidate, speed in measured.speeds.items():
        answers = _answers(parities[candidate])
        trials.setdefault(candidate.precision, {})[candidate.backend] = Trial(answers, speed)
    precisions = dict.fromkeys(candidate.precision for candidate in (*measured.speeds, *measured.failures))
    labelled = any(parity.labelled is not None for parity in parities.values())
    bar = _Bar(trials.get(REFERENCE, {}), thresholds, comparison, labelled)
    verdicts = {
        precision: bar.verdict(
            precision,
            trials.get(precision, {}),
            {found.backend: why for found, why in measured.failures.items() if found.precision == precision},
        )
        for precision in precisions
    }
    compared = "accuracy" if labelled else "agreement"
    return Gate(cpu.cpu_key(), FACES, compared, _recorded(thresholds, comparison), verdicts)


def _recorded(thresholds: Thresholds, comparison: Comparison) -> dict[str, float]:
    """Return the thresholds for the manifest; float16 has an entry where it has an agreement of its own."""
    least, of_fp16 = (thresholds.least_agreement(comparison, name) for name in ("int8", "fp16"))
    recorded = dataclasses.asdict(thresholds) | {"agreement": least}
    return recorded if of_fp16 == least else recorded | {"agreement_fp16": of_fp16}


class _Bar:
    """FP32's best speed, and the least that a precision must reach."""

    def __init__(
        self, reference: Mapping[str, Trial], thresholds: Thresholds, comparison: Comparison, labelled: bool
    ) -> None:
        self._rival = _fastest(reference)
        self._speed = reference[self._rival].speed if self._rival else 0.0
        self._thresholds, self._comparison, self._labelled = thresholds, comparison, labelled
        self._unit = "of the accuracy" if labelled else comparison.unit

    def _least_answers(self, precision: str) -> float:
        if self._labelled:
            return self._thresholds.accuracy
        return self._thresholds.least_agreement(self._comparison, precision)

    def verdict(self, precision: str, trials: dict[str, Trial], failures: dict[str, str]) -> Verdict:
        if not trials or self._rival is None:
            why = "; ".join(f"{backend}: {reason}" for backend, reason in failures.items())
            reason = f"no speed to compare with FP32's ({why or 'no backend is installed'})"
            return Verdict(precision == REFERENCE, reason, trials, failures)
        least, least_speed = self._least_answers(precision), self._thresholds.speed
        passing = {name: trial for name, trial in trials.items() if trial.answers >= least}
        backend = _fastest(passing or trials) or ""
        trial = trials[backend]
        ratio = trial.speed / self._speed
        if precision == REFERENCE:
            return Verdict(True, "the reference", trials, failures, tuple(passing), backend, ratio)
        answers = f"{trial.answers:.2%} {self._unit}"
        speed = f"{ratio:.2f}x the speed of FP32 ({backend} against {self._rival})"
        failings = []
        if not passing:
            failings.append(f"{answers} on {backend}, at least {least:.2%} is required")
        if ratio < least_speed:
            failings.append(f"{speed}, at least {least_speed:.2f}x is required")
        reason = "; ".join(failings) or f"{answers}; {speed}"
        return Verdict(not failings, reason, trials, failures, tuple(passing), backend, ratio)


def _answers(parity: AnyParity) -> float:
    labelled = parity.labelled
    if labelled is None:
        return parity.agreement
    # A reference that is never right leaves nothing to lose.
    return labelled.accuracy / labelled.reference_accuracy if labelled.reference_accuracy else 1.0


def _fastest(trials: Mapping[str, Trial]) -> str | None:
    return max(trials, key=lambda backend: trials[backend].speed, default=None)
