"""Speed as a multiple of plain ONNX Runtime's, fastest first."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.record import Record, Speed
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import Mark, marks_of
from fer_bench.report.figures.plot import Plot
from fer_bench.report.figures.theme import LIGHT

ROOM = 1.3  # of the longest bar's interval: the figure at its end needs it


def draw(record: Record, width: int) -> Figure | None:
    batches, marks = record.options.batches, marks_of(record)
    height = 60 + layout.ROW * len(marks)
    figure, panels = layout.panels(width, height, batches, 3, same_rows=False)
    for panel, batch in zip(panels, batches, strict=True):
        _bars(panel, record.speed_at(batch), marks)
        panel.set_title(f"batch {batch}")
        panel.set_xlabel("times plain onnxruntime")
    return figure


def _bars(panel: Axes, measured: Sequence[Speed], marks: dict[str, Mark]) -> None:
    """Draw one bar a contender with the interval of its ratio, the fastest at the top in bold."""
    shown = [
        (marks[entry.contender], entry.ratio_to_baseline) for entry in measured if entry.contender in marks
    ]
    shown.sort(key=lambda entry: -entry[1].median)
    for place, (mark, ratio) in enumerate(shown):
        panel.barh(place, ratio.median, height=0.62, color=mark.colour, alpha=0.75)
        panel.plot([ratio.low, ratio.high], [place, place], color=LIGHT["ink"], linewidth=1)
        panel.annotate(
            f"{ratio.median:.2f}",
            (max(ratio.high, ratio.median), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            fontweight="normal" if place else "bold",
        )
    panel.axvline(1, color=LIGHT["ink"], linewidth=0.8, linestyle=":")
    panel.set_xlim(0, ROOM * max(max(ratio.high, ratio.median) for _, ratio in shown))
    layout.rows(panel, [mark.name for mark, _ in shown])
    panel.get_yticklabels()[0].set_fontweight("bold")


PLOT = Plot(
    name="ratio",
    title="Speed against plain ONNX Runtime",
    caption=(
        "Throughput as a multiple of a plain onnxruntime session's in the same rounds (dotted line), fastest "
        "first: the median of the rounds, and the 95 % interval of that median as a line. Where two "
        "intervals overlap, this record does not say which of the two is faster."
    ),
    missing="not measured",
    draw=draw,
)
