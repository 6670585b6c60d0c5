"""Throughput over the batch size."""

from __future__ import annotations

import statistics

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from fer_bench.record.record import Record
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import Plot

HEIGHT = 420  # CSS pixels


def draw(record: Record, width: int) -> Figure | None:
    batches, marks = record.options.batches, marks_of(record)
    if len(batches) < 2:
        return None
    figure = layout.figure(width, HEIGHT + layout.legend_height(len(marks), width))
    axes = figure.subplots()
    for name, mark in marks.items():
        entries = sorted(
            (entry for entry in record.speed if entry.contender == name), key=lambda entry: entry.batch
        )
        rates = [statistics.median(entry.images_per_second) for entry in entries]
        sizes = [entry.batch for entry in entries]
        axes.plot(sizes, rates, **mark.style, linestyle=mark.line)
    axes.set_title("images a second")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    layout.log_ticks(axes.yaxis)
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("faces a call")
    layout.legend(figure, marks.values(), width)
    return figure


PLOT = Plot(
    name="sweep",
    title="Throughput over batch size",
    caption="Medians of the rounds; both axes are logarithmic.",
    missing="not measured: name at least two batch sizes, as in --batch 1,64,1024",
    draw=draw,
)
