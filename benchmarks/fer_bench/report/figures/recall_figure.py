"""Where a contender's recall of a class differs from the reference's by more than chance."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.record import LabelledAccuracy, Record
from fer_bench.record.statistics import DOUBT
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import NARROW, Plot
from fer_bench.report.figures.theme import LIGHT
from fer_export.verify.parity import mcnemar_p

FULL = 5.0  # points at which a cell has its full shade
Differences = list[float | None]


def draw(record: Record, width: int) -> Figure | None:
    marks = marks_of(record)
    changes = _changes(record)
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
            if share is not None:
                _cell(axes, column, lines * row + lines - 1, 100 * share)
    names = [""] * (2 * len(changes)) if lines == 2 else [marks[name].name for name in changes]
    layout.grid_of_cells(axes, record.artifact.labels, names)
    return figure


def _changes(record: Record) -> dict[str, Differences]:
    """Return the differences beyond noise of each contender that has any; the others are None."""
    measured = {
        name: found.labelled
        for name, found in record.parity.items()
        if name != record.reference and found.labelled is not None and found.changed
    }
    # One doubt for the whole figure, shared among all that is compared (Bonferroni).
    doubt = DOUBT / max(1, len(measured) * len(record.artifact.labels))
    found = {name: _beyond_noise(labelled, doubt) for name, labelled in measured.items()}
    return {name: shares for name, shares in found.items() if any(share is not None for share in shares)}


def _beyond_noise(found: LabelledAccuracy, doubt: float) -> Differences:
    """Return each class's difference in recall, or None where chance may have made it.

    The record counts the flips of all classes together. As many in one class are the most there can be, so
    McNemar's exact test of a class's net change among that many can only doubt too much.
    """
    flips = found.right_to_wrong + found.wrong_to_right
    shares: Differences = []
    for share, row in zip(found.recall_difference, found.confusion or (), strict=False):
        net = 0 if share is None else abs(round(share * sum(row)))
        more = (flips + net) // 2
        certain = net > 0 and mcnemar_p(more, max(0, flips - more)) < doubt
        shares.append(share if certain else None)
    return shares


def _cell(axes: Axes, column: int, row: int, points: float) -> None:
    layout.cell(axes, column, row, LIGHT["blue" if points > 0 else "red"], min(1.0, abs(points) / FULL))
    axes.text(column, row, f"{points:+.1f}", ha="center", va="center", fontsize=11)


PLOT = Plot(
    name="recall",
    title="Recall that differs from the reference's",
    caption=(
        "Difference of a class's recall from the reference's on the same faces, in points, where it is "
        "beyond noise: blue gains, red loses. An empty cell, and a contender that is not here, may differ by "
        "chance or not at all (exact McNemar test, 5 % for the whole figure); the tables have them all."
    ),
    missing="no class's recall differs beyond noise, or the faces have no labels",
    draw=draw,
)
