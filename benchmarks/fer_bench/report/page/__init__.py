"""The record as one HTML page that needs nothing beside it: no network, no script, no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fer_bench.contenders.contender import BASELINE
from fer_bench.record.record import Record
from fer_bench.report.figures import PLOTS, theme
from fer_bench.report.figures.plot import NARROW, WIDE, Plot, svg
from fer_bench.report.headline import Headline, headlines
from fer_bench.report.page import flips
from fer_bench.report.page.flips import Faces
from fer_bench.report.render import head_and_tables
from fer_bench.report.table import Table
from fer_engine.selection.select import AUTO

HERE = Path(__file__).parent
LONGEST_FIGURE = 32  # characters of a cell: a share with its interval has 20
# Everything in a record is escaped: it may come from anybody.
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(record: Record, faces: Faces | None = None) -> str:
    """Return the page.

    `faces`, uint8 [n, h, w] or [n, h, w, 3], are those of the record; with them the page shows the flips.
    """
    head, tables = head_and_tables(record)
    plots = [_plot(plot, record) for plot in PLOTS]
    return TEMPLATES.get_template("page.html.jinja").render(
        title=head[0],
        facts=head[1:],
        headlines=[_card(found, record) for found in headlines(record)],
        plots=[drawn for drawn in plots if drawn["wide"]],
        missing=[drawn["plot"] for drawn in plots if not drawn["wide"]],
        reference=record.reference_title,
        flips=flips.groups(record, faces),
        with_faces=faces is not None,
        tables=[(table, _prose(table)) for table in tables],
        style=Markup((HERE / "page.css").read_text("utf-8")),  # noqa: S704 - ours
        light=theme.LIGHT,
        dark=theme.DARK,
    )


def _card(found: Headline, record: Record) -> dict[str, Any]:
    """Return what the page says of one headline."""
    contender, held_against = record.contender(found.contender), record.reference_title
    chosen = AUTO in (contender.backend, contender.precision)
    runs = f" ({contender.info.backend}, {contender.info.precision})" if chosen else ""
    parity = record.parity[found.contender]
    if parity.labelled is None:
        answers = f"{parity.agreement:.2%} the same answers as {held_against}"
    else:
        right, expected = parity.labelled.accuracy, parity.labelled.reference_accuracy
        answers = f"{right:.2%} right, {held_against} {expected:.2%}"
    lines = [answers]
    if parity.voted is not None:
        right, expected = parity.voted.accuracy, parity.voted.reference_accuracy
        lines.append(f"{right:.2%} right by the FER+ majority, {held_against} {expected:.2%}")
    speeds = [f"{found.against_onnxruntime} plain onnxruntime"]
    if record.reference != BASELINE:
        speeds.append(f"{found.against_reference} {held_against}")
    return {
        "batch": found.batch,
        "contender": found.contender + runs,
        "rate": f"{found.images_per_second:,.0f}",
        "lines": [*speeds, *lines],
    }


def _prose(table: Table) -> set[int]:
    """Return the columns of a table that hold text to be wrapped, not figures to be aligned."""
    return {
        column
        for column in range(1, len(table.columns))
        if any(len(row[column]) > LONGEST_FIGURE for row in table.rows)
    }


def _plot(plot: Plot, record: Record) -> dict[str, Any]:
    wide = svg(plot, record, WIDE)
    narrow = svg(plot, record, NARROW)
    return {
        "plot": plot,
        # Our own drawing of it: matplotlib escapes the record's text.
        "wide": wide and Markup(wide),  # noqa: S704
        "narrow": narrow and Markup(narrow),  # noqa: S704
    }
