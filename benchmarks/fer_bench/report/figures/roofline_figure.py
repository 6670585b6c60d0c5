"""The roofline: what the machine allows, and where the contenders are below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.machine_limits import MachineLimits
from fer_bench.record.record import Record
from fer_bench.report import roofline
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import Plot
from fer_bench.report.figures.theme import LIGHT

HEIGHT = 420  # CSS pixels
MARGIN = 2.5  # the axis reaches beyond the contenders by this factor
LINE = 1.25  # peaks nearer to each other than by this factor have no room for a label each
GIGA = 1e9


def draw(record: Record, width: int) -> Figure | None:
    if record.limits is None:
        return None
    marks, batch = marks_of(record), max(record.options.batches)
    places = list(roofline.places(record, record.limits, batch))
    figure = layout.figure(width, HEIGHT + layout.legend_height(len(marks), width))
    axes = figure.subplots()
    ends = [place.layered.intensity for place in places] + [place.fused.intensity for place in places]
    span = min(ends) / MARGIN, max(ends) * MARGIN
    precisions = dict.fromkeys(place.precision for place in places)
    _roofs(axes, record.limits.machine, precisions, span)
    for place in places:
        mark, height = marks[place.contender], place.multiply_adds_per_second / GIGA
        axes.plot([place.layered.intensity, place.fused.intensity], [height] * 2, color=mark.colour, lw=0.9)
        axes.plot(place.layered.intensity, height, **mark.style)
    axes.set_title(f"G multiply-adds a second, batch {batch}")
    axes.set_xlabel("multiply-adds a byte of memory traffic")
    axes.set_xlim(span)
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        layout.log_ticks(axis)
    layout.legend(figure, marks.values(), width)
    return figure


def _roofs(
    axes: Axes, machine: MachineLimits, precisions: Mapping[str, None], span: tuple[float, float]
) -> None:
    """Draw one roof a precision, with all threads: the slope of the memory up to the arithmetic's peak."""
    bandwidth = max(machine.memory.bytes_per_second.values())
    threads = max(int(count) for count in machine.memory.bytes_per_second)
    peaks = {precision: roofline.peak_of(machine.products, precision, threads) for precision in precisions}
    intensities = np.geomspace(*span, 200)
    for peak in set(peaks.values()):
        roof = np.minimum(peak, intensities * bandwidth) / GIGA
        axes.plot(intensities, roof, color=LIGHT["muted"], linewidth=1.2)
    for names, peak in _labels(peaks):
        axes.annotate(
            f"{', '.join(names)} peak",
            (span[1], peak / GIGA),
            (-4, 4),
            textcoords="offset points",
            ha="right",
            fontsize=11,
        )


def _labels(peaks: Mapping[str, float]) -> Iterator[tuple[list[str], float]]:
    """Give the precisions of each label and its height: peaks too close for two labels have one."""
    ordered = sorted(peaks.items(), key=lambda entry: entry[1])
    while ordered:
        names, height = [ordered[0][0]], ordered[0][1]
        while len(names) < len(ordered) and ordered[len(names)][1] < LINE * height:
            name, height = ordered[len(names)]
            names.append(name)
        yield names, height
        ordered = ordered[len(names) :]


PLOT = Plot(
    name="roofline",
    title="Distance to the machine's limit",
    caption=(
        "Roofline (Williams et al., 2009): the gray lines are the highest rates that memory (slope) and "
        "large matrix products (level) reached on this machine with all threads. The mark of a contender "
        "stands where every layer would read and write memory, its line ends where all would be fused; the "
        "truth lies between."
    ),
    missing="not measured: run with --profile",
    draw=draw,
)
