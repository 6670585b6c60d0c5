"""Accuracy, or agreement with the reference, against throughput."""

from __future__ import annotations

import statistics

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fer_bench.record.record import Record, Speed
from fer_bench.record.statistics import median_interval
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import Plot
from fer_export.verify.parity import wilson_interval

Interval = tuple[float, list[list[float]]]  # a value, and how far its interval reaches below and above
PANEL = 250  # CSS pixels of height


def draw(record: Record, width: int) -> Figure | None:
    batches, marks = record.options.batches, marks_of(record)
    figure, panels = layout.panels(width, PANEL, batches, 3, len(marks))
    answers = _answers(record)
    what = "top-1 accuracy" if record.inputs.labelled else f"same answer as {record.reference_title}"
    for panel, batch in zip(panels, batches, strict=True):
        panel.set_title(f"{what}, batch {batch}")
        for entry in record.speed_at(batch):
            name = entry.contender
            if name in marks and name in answers:
                mark = marks[name]
                x, across = _throughput(entry)
                y, up = answers[name]
                panel.errorbar(x, y, up, across, **mark.style, elinewidth=0.9, ls="")
        panel.set_xscale("log")
        layout.log_ticks(panel.xaxis)
        panel.set_xlabel("images a second")
        panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    layout.legend(figure, marks.values(), width)
    return figure


def _throughput(entry: Speed) -> Interval:
    """Return the median of the rounds and its 95 % interval."""
    rates = entry.images_per_second
    return _interval(statistics.median(rates), *median_interval(rates))


def _answers(record: Record) -> dict[str, Interval]:
    """Return each contender's share of right (or else equal) answers and its 95 % interval."""
    found = {}
    for name, parity in record.parity.items():
        if parity.labelled is not None:
            found[name] = _interval(parity.labelled.accuracy, *parity.labelled.interval)
        else:
            bounds = wilson_interval(parity.faces - parity.changed, parity.faces)
            found[name] = _interval(parity.agreement, *bounds)
    return found


def _interval(value: float, low: float, high: float) -> Interval:
    # A bound may miss the value by a rounding error.
    return value, [[max(0.0, value - low)], [max(0.0, high - value)]]


PLOT = Plot(
    name="tradeoff",
    title="Accuracy against throughput",
    caption=(
        "Further right is faster, higher is better; the bars are 95 % intervals (of the median round, "
        "Wilson score). All contenders answered the same faces, so overlapping accuracy bars do "
        "not say that two are equal: the paired figures below do."
    ),
    missing="not measured",
    draw=draw,
)
