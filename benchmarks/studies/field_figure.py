"""The field in one figure: accuracy against milliseconds a face, of this project's networks and of others.

`python benchmarks/studies/field_figure.py` draws docs/results/figures/field.svg and writes the table of
docs/benchmarking.md, both from committed records alone: other_networks.json and models.json of docs/results,
and the logs of docs/results/training.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

from fer_bench.record.statistics import median_interval
from fer_bench.report.figures import layout, theme
from fer_bench.report.figures.plot import NO_METADATA, SVG, WIDE
from fer_bench.report.table import milliseconds
from fer_engine.artifact import files
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError
from studies.model_cards import put
from studies.other_networks.page import Group, Point, Row, read_rows, render
from studies.other_networks.record import COMMAND, OtherNetworksRecord, load_record

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "results" / "other_networks.json"
FIGURE = ROOT / "docs" / "results" / "figures" / "field.svg"
PAGE = ROOT / "docs" / "benchmarking.md"
BEGIN = "<!-- measured: begin. benchmarks/studies/field_figure.py writes this part -->"
BATCH = "1"
HEIGHT = 470  # CSS pixels
MARKS: dict[Group, tuple[str, str, str]] = {  # colour, marker and name of a group
    "this project": ("blue", "o", "this project"),
    "tutorials": ("amber", "s", "tutorials' networks, trained by this project"),
    "packages": ("red", "^", "packages, with their own weights"),
}
TITLE = "Accuracy against milliseconds a face"
# Where a name may stand beside its point, in points: right, left, above, below, and farther off.
PLACES = [
    (right, up, across)
    for right, across in ((8, "left"), (-8, "right"))
    for up in (0, 11, -11, 22, -22, 33, -33)
]


def draw(rows: Sequence[Row]) -> Figure:
    """Return the figure: a panel for FER+'s majority and one for FER2013's labels."""
    figure = layout.figure(WIDE, HEIGHT)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=True)
    majority = [(row, row.majority) for row in rows if row.majority]
    labels = [(row, row.labels) for row in rows if row.labels]
    titles = ("right by FER+: the majority of ten people", "right by FER2013's own labels")
    names = [_panel(panel, *shown) for panel, *shown in zip(panels, titles, (majority, labels), strict=True)]
    handles = [
        mpl.lines.Line2D([], [], color=theme.LIGHT[colour], marker=marker, linestyle="", label=name)
        for colour, marker, name in MARKS.values()
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    figure.draw_without_rendering()
    for panel, own in zip(panels, names, strict=True):
        layout.log_ticks(panel.xaxis)
        _place(canvas, panel, own)
    return figure


def _panel(panel: Axes, title: str, shown: Sequence[tuple[Row, Point]]) -> list[Annotation]:
    panel.set_title(title)
    panel.set_xscale("log")
    panel.set_xlabel("milliseconds a face, one face a call: further left is faster")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    names = []
    for row, point in shown:
        colour, marker, _ = MARKS[row.group]
        x = _milliseconds(row)
        rates = row.speed[BATCH].images_per_second
        fast, slow = (1000 / rate for rate in reversed(median_interval(rates)))
        low, high = point.interval
        panel.errorbar(
            x,
            point.accuracy,
            [[max(0.0, point.accuracy - low)], [max(0.0, high - point.accuracy)]],
            [[max(0.0, x - fast)], [max(0.0, slow - x)]],
            color=theme.LIGHT[colour],
            marker=marker,
            elinewidth=0.9,
            ls="",
        )
        names.append(
            panel.annotate(
                row.name, (x, point.accuracy), (0, 0), textcoords="offset points", fontsize=10, va="center"
            )
        )
    panel.margins(0.12)
    return names


def _place(canvas: FigureCanvasAgg, panel: Axes, names: Sequence[Annotation]) -> None:
    """Put each name where it covers neither a point nor another name, and stays in the panel."""
    renderer = canvas.get_renderer()
    points = [panel.transData.transform(name.xy) for name in names]
    taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    for own, name in enumerate(names):
        others = [box for index, box in enumerate(taken) if index != own]
        costs = []
        for right, up, across in PLACES:
            name.set(position=(right, up), horizontalalignment=across)
            box = name.get_window_extent(renderer)
            covered = sum(box.overlaps(other) for other in others)
            outside = not all(panel.bbox.padded(12).contains(*corner) for corner in (box.min, box.max))
            costs.append((covered + outside, abs(up)))
        best = PLACES[costs.index(min(costs))]
        name.set(position=best[:2], horizontalalignment=best[2])
        taken.append(name.get_window_extent(renderer))


def _milliseconds(row: Row) -> float:
    return 1000 / row.speed[BATCH].median


def describe(rows: Sequence[Row]) -> str:
    """Return the figures of the drawing as text, which travels in it for who cannot see it."""
    lines = [
        f"{row.name}: {milliseconds(_milliseconds(row))} ms, FER+ {row.majority or 'not measured'} %, "
        f"labels {row.labels or 'not measured'} %"
        for row in rows
    ]
    return "\n".join([f"{TITLE}; accuracies with their 95 % intervals.", *lines])


def to_svg(rows: Sequence[Row]) -> str:
    """Return the figure as SVG; its letters are drawn as shapes, so that it looks alike everywhere."""
    with mpl.rc_context(theme.STYLE), mpl.rc_context({"svg.hashsalt": "field", "svg.fonttype": "path"}):
        content = io.StringIO()
        draw(rows).savefig(content, format="svg", facecolor=theme.LIGHT["paper"], metadata=NO_METADATA)
    root = ET.fromstring(content.getvalue())  # noqa: S314 - matplotlib's own
    for tag, text in (("desc", describe(rows)), ("title", TITLE)):
        element = ET.Element(f"{{{SVG}}}{tag}")
        element.text = text
        root.insert(0, element)
    return ET.tostring(root, "unicode") + "\n"


def load(path: Path = RECORD) -> OtherNetworksRecord:
    """Read the record.

    Raises:
        FerError: the file cannot be read, is damaged, or has no speed at batch 1.
    """
    record = load_record(path)
    if int(BATCH) not in record.batches:
        raise ConfigError(f"{path} has no speed at batch {BATCH}; measure again with {COMMAND} --batch 1,16")
    return record


def page(text: str, record: OtherNetworksRecord, rows: Sequence[Row]) -> str:
    """Return the document `text` with figure and table of the record between its markers."""
    figure = f"![{TITLE}]({FIGURE.relative_to(PAGE.parent).as_posix()})"
    return put(text, f"{figure}\n\n{render(record, rows).rstrip()}", PAGE, BEGIN)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=RECORD, help="the record (default: %(default)s)")
    options = parser.parse_args(argv)

    def run() -> int:
        record = load(options.json)
        rows = read_rows(record)
        text = page(PAGE.read_text("utf-8"), record, rows)
        files.write_text(FIGURE, to_svg(rows))
        files.write_text(PAGE, text)
        print(f"{FIGURE}\n{PAGE}")
        return 0

    return exit_codes.run_command(run)


if __name__ == "__main__":
    sys.exit(main())
