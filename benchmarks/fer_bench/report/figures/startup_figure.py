"""Cold start: what a new process spends before its first answer."""

from __future__ import annotations

import statistics

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from fer_bench.record.record import Record
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import Plot
from fer_bench.report.figures.theme import LIGHT

STEPS = {"import_ns": ("import", "gray"), "load_ns": ("load", "blue"), "first_call_ns": ("first call", "red")}


def draw(record: Record, width: int) -> Figure | None:
    marks = marks_of(record)
    totals = {
        name: statistics.median(start.total_ns for start in record.startup[name].cold_starts) / 1e6
        for name in marks
    }
    names = sorted(totals, key=totals.__getitem__)
    figure = layout.figure(width, 110 + layout.ROW * len(marks))
    axes = figure.subplots()
    ends = []
    for place, name in enumerate(names):
        starts, left = record.startup[name].cold_starts, 0.0
        for key, (_, colour) in STEPS.items():
            length = statistics.median(getattr(start, key) for start in starts) / 1e6
            axes.barh(place, length, left=left, height=0.62, color=LIGHT[colour])
            left += length
        axes.annotate(f"{totals[name]:,.0f}", (left, place), (5, 0), textcoords="offset points", va="center")
        ends.append(left)
    layout.rows(axes, [marks[name].name for name in names])
    axes.set_xlim(0, 1.12 * max(ends))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("ms")
    handles = [Patch(color=LIGHT[colour], label=label) for label, colour in STEPS.values()]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(STEPS))
    return figure


PLOT = Plot(
    name="startup",
    title="Cold start",
    caption=(
        "Medians over new processes, which took turns, the fastest first: import, load, and the first call "
        "with one face. The interpreter's own start is left out. The figure at a bar is the median of the "
        "totals."
    ),
    missing="not measured",
    draw=draw,
)
