"""The figures of a report, each drawn from the record alone."""

from __future__ import annotations

from pathlib import Path

from fer_bench.record.record import Record
from fer_bench.report.figures import (
    confusion_figure,
    latency_figure,
    ratio_figure,
    recall_figure,
    roofline_figure,
    scenarios_figure,
    startup_figure,
    sweep_figure,
    tradeoff_figure,
)
from fer_bench.report.figures.plot import Plot, write_png

# In the order of the report.
PLOTS: tuple[Plot, ...] = (
    ratio_figure.PLOT,
    tradeoff_figure.PLOT,
    sweep_figure.PLOT,
    latency_figure.PLOT,
    roofline_figure.PLOT,
    scenarios_figure.PLOT,
    startup_figure.PLOT,
    confusion_figure.PLOT,
    recall_figure.PLOT,
)


def write_pngs(record: Record, folder: Path) -> list[Path]:
    """Write each figure that the record has data for as `folder/NAME.png`; return the files.

    Raises:
        FerError: a file cannot be written.
    """
    written = (write_png(plot, record, folder) for plot in PLOTS)
    return [path for path in written if path is not None]
