"""Whether a record is worse than an earlier one: by ratios and answers, never by absolute times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fer_bench.compare import comparable
from fer_bench.record.record import AnswerParity, Record, Subject
from fer_bench.record.statistics import Ratio
from fer_bench.report.table import Table
from fer_engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Bars:
    """How much worse a record may be; None leaves that unchecked.

    `slowdown` is a share of the baseline's ratio, `accuracy_drop` is in percentage points.
    """

    slowdown: float | None = None
    accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        if self.slowdown is self.accuracy_drop is None:
            raise ConfigError("a comparison needs a bar: give --max-slowdown, --max-accuracy-drop, or both")
        if self.slowdown is not None and not 0 <= self.slowdown < 1:
            raise ConfigError(f"--max-slowdown must lie between 0% and 100%, got {100 * self.slowdown:g}%")
        if self.accuracy_drop is not None and not 0 <= self.accuracy_drop < math.inf:
            raise ConfigError(f"--max-accuracy-drop must be at least 0 points, got {self.accuracy_drop:g}")


@dataclass(frozen=True, slots=True)
class Regression:
    """What an engine lost; `bar` is the least that would have passed."""

    contender: str
    measure: str
    before: str
    now: str
    bar: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier record, called `name`, and how much worse a new one may be."""

    name: str
    record: Record
    bars: Bars

    def check(self, new: Subject) -> None:
        """Make sure that the bars have a meaning between the two records.

        Of `new` this needs only what is known before anything is measured.

        Raises:
            ConfigError: model, faces, settings or rounds forbid it, or they have no engine in common.
        """
        comparable.check(self.record, new)
        if self.bars.slowdown is not None:
            comparable.check_speeds(self.record.options, new.options)
        if self.bars.accuracy_drop is not None:
            comparable.check_faces(self.record, new)

    def regressions(self, new: Record) -> list[Regression]:
        """Return what is worse in `new` than the bars allow; `check` has passed.

        An engine is too slow where even the upper end of the 95 % interval of its ratio to plain
        onnxruntime, in the same rounds, lies below the bar: the doubt that a noisy machine leaves is on
        its side. Accuracy and agreement are counts on the same faces and leave none; they belong to
        one precision, so they are not compared where an engine chose another. An engine that was asked
        for and is not there counts as worse.
        """
        old = self.record
        found = list(_missing(old, new))
        for name in sorted(comparable.common(old, new)):
            if self.bars.slowdown is not None:
                found += _slower(old, new, name, self.bars.slowdown)
            if self.bars.accuracy_drop is not None and name not in _other_choices(old, new):
                agreement = f"agreement with {new.reference_title}"
                found += _wronger(
                    old.parity[name], new.parity[name], name, agreement, self.bars.accuracy_drop
                )
        return found

    def compared(self, new: Record) -> str:
        """Return what `regressions` looks at."""
        batches = [batch for batch in new.options.batches if batch in self.record.options.batches]
        speed = f"speed at batch {', '.join(map(str, batches))}" if self.bars.slowdown is not None else ""
        votes = ", FER+'s votes among them" if comparable.both_have_votes(self.record, new) else ""
        answers = f"answers on {new.inputs.description}{votes}" if self.bars.accuracy_drop is not None else ""
        engines = sorted(comparable.common(self.record, new))
        others = _other_choices(self.record, new) if answers else {}
        left_out = "".join(f"; not the answers of {name}, which {why}" for name, why in others.items())
        return f"{' and '.join(filter(None, (speed, answers)))} of {', '.join(engines)}{left_out}"

    def other_machine(self, new: Record) -> str | None:
        """Return what to know where the records are from different machines, else None."""
        machines = [
            f"{machine.cpu} ({' '.join(machine.cpu_flags or ())}), {machine.usable_cores} cores"
            for machine in (self.record.environment, new.environment)
        ]
        if machines[0] == machines[1]:
            return None
        return (
            f"note: {self.name} was measured on another machine, where ratios can differ by themselves: "
            f"{machines[0]}; here: {machines[1]}"
        )


def table(found: list[Regression]) -> Table:
    return Table(
        "Worse than the baseline",
        ("contender", "measure", "baseline", "now", "bar"),
        [(entry.contender, entry.measure, entry.before, entry.now, entry.bar) for entry in found],
        "Ratios are to plain onnxruntime in the same rounds; one counts as worse only where its whole 95 % "
        "interval lies below the bar.",
    )


def _other_choices(old: Record, new: Record) -> dict[str, str]:
    """Return the engines that chose another precision than before."""
    before, now = (
        {entry.name: entry.info.precision for entry in record.contenders if entry.kind == "engine"}
        for record in (old, new)
    )
    return {
        name: f"chose {before[name]} before and {now[name]} now"
        for name in sorted(comparable.common(old, new))
        if before[name] != now[name]
    }


def _missing(old: Record, new: Record) -> Iterator[Regression]:
    reasons = {entry.name: entry.reason for entry in new.skipped}
    for name in sorted(comparable.expected(old, new) - comparable.engines(new)):
        backend = "/".join(name.split("/")[:2])  # all there is of one that is not installed
        reason = reasons.get(name) or reasons.get(backend) or "the artifact has no such graph"
        yield Regression(name, "runs", "yes", f"no: {reason}", "yes")


def _slower(old: Record, new: Record, name: str, slowdown: float) -> Iterator[Regression]:
    before = _ratios(old, name)
    for batch, ratio in _ratios(new, name).items():
        if batch not in before:
            continue
        bar = (1 - slowdown) * before[batch].median
        if ratio.high < bar:
            yield Regression(
                name,
                f"speed, batch {batch}",
                f"{before[batch].median:.2f}x",
                str(ratio),
                f"{bar:.2f}x",
            )


def _ratios(record: Record, name: str) -> dict[int, Ratio]:
    return {entry.batch: entry.ratio_to_baseline for entry in record.speed if entry.contender == name}


def _wronger(
    old: AnswerParity, new: AnswerParity, name: str, agreement: str, drop: float
) -> Iterator[Regression]:
    shares = {agreement: (old.agreement, new.agreement)}
    if old.labelled and new.labelled:
        shares["accuracy"] = (old.labelled.accuracy, new.labelled.accuracy)
    if old.voted and new.voted:
        shares["accuracy against the FER+ majority"] = (old.voted.accuracy, new.voted.accuracy)
    for measure, (before, now) in shares.items():
        # A face more or less is the least there is: what rounding adds must not tip the scales.
        if round(100 * (before - now), 9) > drop:
            yield Regression(
                name, measure, f"{100 * before:.2f} %", f"{100 * now:.2f} %", f"{100 * before - drop:.2f} %"
            )
