"""The confusion matrices of the reference and of the fastest engine, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.record import Record
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import short
from fer_bench.report.figures.plot import Plot
from fer_bench.report.figures.theme import LIGHT
from fer_bench.report.headline import headlines

HEIGHT = 400  # CSS pixels of a matrix


def draw(record: Record, width: int) -> Figure | None:
    names = dict.fromkeys([record.reference, *(best.contender for best in headlines(record)[-1:])])
    found = {name: record.parity[name] for name in names}
    counts = [
        (name, "truth", entry.labelled.confusion)
        for name, entry in found.items()
        if entry.labelled and entry.labelled.confusion
    ]
    if len(counts) < len(names):
        return None
    counts += [(name, "FER+ majority", entry.voted.confusion) for name, entry in found.items() if entry.voted]
    figure, panels = layout.panels(width, HEIGHT, counts, 2)
    for panel, (name, truth, rows) in zip(panels, counts, strict=True):
        panel.set_title(short(name))
        _matrix(panel, np.array(rows), record.artifact.labels, truth)
    return figure


def _matrix(panel: Axes, counts: np.ndarray, labels: Sequence[str], truth: str) -> None:
    """Draw counts (rows: `truth`); the shade of a cell is its share of the row."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for (row, column), share in np.ndenumerate(shares):
        layout.cell(panel, column, row, LIGHT["blue"], share)
        panel.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=11)
    layout.grid_of_cells(panel, labels, [short(label, layout.LONGEST_CLASS) for label in labels])
    panel.set_xlabel(f"answer (rows: {truth})")


PLOT = Plot(
    name="confusion",
    title="Confusion matrices of the reference and the engine",
    caption=(
        "Faces of each true expression (row) by the answer they got (column); the shade is the share of "
        "the row. The engine is the fastest accepted one at the largest batch."
    ),
    missing="not measured: faces with labels are needed, see --data",
    draw=draw,
)
