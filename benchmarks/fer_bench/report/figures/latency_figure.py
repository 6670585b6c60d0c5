"""The distribution of one call's duration, from all samples."""

from __future__ import annotations

from itertools import chain

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.record import Record
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import marks_of
from fer_bench.report.figures.plot import Plot
from fer_bench.report.figures.theme import LIGHT

BINS = 60  # of equal ratio, over the whole span of a panel


def draw(record: Record, width: int) -> Figure | None:
    batches, marks = record.options.batches, marks_of(record)
    figure, panels = layout.panels(width, 60 + layout.ROW * len(marks), batches, 3)
    for panel, batch in zip(panels, batches, strict=True):
        samples = {
            entry.contender: np.maximum(list(chain.from_iterable(entry.samples_ns)), 1) / 1e6
            for entry in record.speed_at(batch)
            if entry.contender in marks
        }
        every = np.concatenate(list(samples.values()))
        edges = np.geomspace(every.min(), every.max() * 1.001, BINS + 1)
        for place, (name, mark) in enumerate(marks.items()):
            _violin(panel, place, samples[name], edges, mark.colour)
        panel.set_title(f"batch {batch}")
        panel.set_xscale("log")
        layout.log_ticks(panel.xaxis)
        panel.set_xlabel("ms a call")
        layout.rows(panel, [mark.name for mark in marks.values()])
    return figure


def _violin(panel: Axes, place: int, samples: np.ndarray, edges: np.ndarray, colour: str) -> None:
    """Draw a histogram mirrored about its row, with its median, 99th percentile and whole span."""
    panel.plot([samples.min(), samples.max()], [place, place], color=colour, linewidth=0.8)
    counts, _ = np.histogram(samples, edges)
    half = 0.42 * counts / counts.max()
    panel.stairs(place - half, edges, baseline=place + half, fill=True, color=colour, alpha=0.55, linewidth=0)
    median, tail = np.percentile(samples, (50, 99))
    panel.plot(median, place, "o", color=LIGHT["ink"], markersize=4)
    panel.plot(tail, place, "|", color=LIGHT["ink"], markersize=9)


PLOT = Plot(
    name="latency",
    title="Latency of one call",
    caption=(
        "All samples of all rounds, none left out: a mirrored histogram over a logarithmic axis; the dot "
        "is the median, the bar the 99th percentile, the line ends at the fastest and the slowest call."
    ),
    missing="not measured",
    draw=draw,
)
