"""The parts that several figures share: panels, a legend, labelled axes, the cells of a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from fer_bench.report.figures.mark import Mark, short
from fer_bench.report.figures.plot import NARROW
from fer_bench.report.figures.theme import DEEPEST, UNITS

ROW = 24  # CSS pixels of a chart's row
CLOSE_TICKS = 300  # span of an axis up to which 2 and 5 are labelled between powers of ten
LONGEST_CLASS = 12  # characters of a class's name


def figure(width: int, height: float) -> Figure:
    """Return an empty figure; `width` and `height` are CSS pixels."""
    return Figure(figsize=(width / UNITS, height / UNITS), layout="constrained")


def panels(
    width: int,
    height: float,
    shown: Sequence[object],
    columns: int,
    named: int = 0,
    *,
    same_rows: bool = True,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel of `height` for each thing shown, at most `columns` beside each other.

    A narrow figure has one column. `named` contenders get room for a legend. Panels of the `same_rows` share
    their vertical axis.
    """
    columns = 1 if width <= NARROW else columns
    rows = -(-len(shown) // columns)
    columns = -(-len(shown) // rows)
    drawn = figure(width, rows * height + legend_height(named, width))
    axes = list(drawn.subplots(rows, columns, squeeze=False, sharey=same_rows).flat)
    for unused in axes[len(shown) :]:
        unused.remove()
    return drawn, axes[: len(shown)]


def legend(drawn: Figure, shown: Iterable[Mark], width: int, others: Sequence[Line2D] = ()) -> None:
    """Name the contenders below the axes, and what `others` stand for."""
    handles = [*(mark.handle for mark in shown), *others]
    drawn.legend(handles=handles, loc="outside lower left", ncols=_names_a_row(width))


def legend_height(named: int, width: int) -> float:
    return 19 * -(-named // _names_a_row(width))


def _names_a_row(width: int) -> int:
    return max(1, width // 240)


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis, when all is drawn, with plain numbers: 1, 2, 5, 10, or far apart 1, 10."""
    low, high = axis.get_view_interval()
    subs = (1, 2, 5) if high < CLOSE_TICKS * low else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a chart, the first one at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def cell(axes: Axes, column: int, row: int, colour: str, shade: float) -> None:
    """Fill one cell of a matrix; `shade` is in [0, 1]."""
    corner = (column - 0.48, row - 0.46)
    axes.add_patch(Rectangle(corner, 0.96, 0.92, color=colour, alpha=DEEPEST * shade, linewidth=0))


def grid_of_cells(axes: Axes, classes: Sequence[str], rows: Sequence[str]) -> None:
    """Name the columns of a matrix, which are classes, and its rows; its first cell is the upper left one."""
    names = [short(name, LONGEST_CLASS) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=35, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
