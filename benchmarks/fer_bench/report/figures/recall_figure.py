"""What each contender's recall of each class gains or loses against the reference."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.record import Record
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import NARROW, Plot
from fer_bench.report.figures.theme import LIGHT

FULL = 5.0  # points at which a cell has its full shade


def draw(record: Record, width: int) -> Figure | None:
    marks = marks_of(record)
    changes = {
        name: parity.labelled.recall_difference
        for name, parity in record.parity.items()
        if name != record.reference and parity.labelled is not None
    }
    if not changes:
        return None
    # A narrow figure has no room for names beside the cells: they stand above.
    lines = 2 if width <= NARROW else 1
    figure = layout.figure(width, 90 + lines * layout.ROW * len(changes))
    axes = figure.subplots()
    for row, (name, shares) in enumerate(changes.items()):
        if lines == 2:
            axes.text(-0.48, 2 * row, marks[name].name, va="center", color=LIGHT["muted"], fontsize=11)
        for column, share in enumerate(shares):
            _cell(axes, column, lines * row + lines - 1, share)
    names = [""] * (2 * len(changes)) if lines == 2 else [marks[name].name for name in changes]
    layout.grid_of_cells(axes, record.artifact.labels, names)
    return figure


def _cell(axes: Axes, column: int, row: int, share: float | None) -> None:
    points = 0.0 if share is None else 100 * share
    layout.cell(axes, column, row, LIGHT["blue" if points > 0 else "red"], min(1.0, abs(points) / FULL))
    text = "" if share is None else f"{points:+.1f}" if points else "0"
    axes.text(column, row, text, ha="center", va="center", fontsize=11)


PLOT = Plot(
    name="recall",
    title="Recall against the reference",
    caption=(
        "Difference of each class's recall from the reference's on the same faces, in points: blue gains, "
        "red loses. A class with few faces moves far with a single one."
    ),
    missing="not measured: faces with labels are needed, see --data",
    draw=draw,
)
