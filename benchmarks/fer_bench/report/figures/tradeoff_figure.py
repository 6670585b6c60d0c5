"""What speed costs in answers: those that a contender changes against its speed, for whoever changes any."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from fer_bench.record.record import AnswerParity, Record, Speed
from fer_bench.record.statistics import Ratio
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import Mark, marks_of
from fer_bench.report.figures.plot import Plot
from fer_bench.report.figures.theme import LIGHT
from fer_export.verify.parity import wilson_interval

PANEL = 250  # CSS pixels of height
SAME: dict[str, Any] = {"color": LIGHT["muted"], "marker": "|", "markersize": 11, "linestyle": ""}


def draw(record: Record, width: int) -> Figure | None:
    batches, marks = record.options.batches, marks_of(record)
    changed = {name: found for name, found in record.parity.items() if name in marks and found.changed}
    if not changed:
        return None
    figure, panels = layout.panels(width, PANEL, batches, 3, len(changed) + 1)
    for panel, batch in zip(panels, batches, strict=True):
        panel.set_title(f"changed answers, batch {batch}")
        for entry in record.speed_at(batch):
            if entry.contender in changed:
                _point(panel, entry, changed[entry.contender], marks[entry.contender])
            elif entry.contender in marks:
                panel.plot(entry.ratio_to_baseline.median, 0, **SAME)
        panel.set_xlabel("times plain onnxruntime")
        panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    panels[0].invert_yaxis()  # the panels share it
    same = Line2D([], [], **SAME, label=f"no answer other than {record.reference_title}'s")
    layout.legend(figure, [marks[name] for name in changed], width, [same])
    return figure


def _point(panel: Axes, entry: Speed, found: AnswerParity, mark: Mark) -> None:
    """Draw a contender's share of changed answers at its speed, each with its 95 % interval."""
    ratio = entry.ratio_to_baseline
    share, (low, high) = found.changed / found.faces, wilson_interval(found.changed, found.faces)
    panel.errorbar(
        ratio.median,
        share,
        [[max(0.0, share - low)], [max(0.0, high - share)]],
        _reach(ratio),
        **mark.style,
        elinewidth=0.9,
        linestyle="",
    )


def _reach(ratio: Ratio) -> list[list[float]]:
    # A bound may miss the median by a rounding error.
    return [[max(0.0, ratio.median - ratio.low)], [max(0.0, ratio.high - ratio.median)]]


PLOT = Plot(
    name="tradeoff",
    title="Changed answers against speed",
    caption=(
        "Share of the faces that are answered otherwise than by the reference: further right is faster, "
        "higher changes less; the bars are 95 % intervals (of the median round, Wilson score). Whoever "
        "changes no answer is a tick on the line of 0 %. A changed answer may be a better one: the tables "
        "of accuracy tell."
    ),
    missing="no contender changes an answer",
    draw=draw,
)
