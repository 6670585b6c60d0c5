"""One figure: what it is called, how it is drawn, and how it becomes SVG or PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from fer_bench.record.record import Record
from fer_bench.report.figures import theme
from fer_engine.artifact import files

WIDE, NARROW = 960, 360  # CSS pixels: a desktop's column, and a telephone's
PNG_SCALE = 2  # pixels of a PNG for one CSS pixel
# What matplotlib would put into the file beside the drawing.
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True, slots=True)
class Plot:
    """`draw` takes a record and a width in CSS pixels; it gives None where the record has no data.

    `name` is the stem of the PNG and the anchor in the page; `missing` says how to get the data.
    """

    name: str
    title: str
    caption: str
    missing: str
    draw: Callable[[Record, int], Figure | None]


def svg(plot: Plot, record: Record, width: int) -> str | None:
    """Return an `<svg>` element for an HTML page, or None where the record has no data.

    Its colours are the page's variables (see `theme.LIGHT`), and so follow light and dark; its text
    is text, in the page's font.
    """
    with _style(f"{plot.name}-{width}"):
        figure = plot.draw(record, width)
        if figure is None:
            return None
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata=NO_METADATA)
    text = content.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every figure
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
    for name, colour in theme.LIGHT.items():
        text = text.replace(colour, f"var(--{name})")
    height = round(figure.get_figheight() * theme.UNITS)
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(plot.title)}"><desc>{escape(plot.caption)}</desc>'
    )
    return opening + text[text.index(">") + 1 :].strip()


def write_png(plot: Plot, record: Record, folder: Path) -> Path | None:
    """Write `folder/NAME.png` and return its path, or None where the record has no data.

    Raises:
        FerError: the file cannot be written.
    """
    with _style(plot.name):
        figure = plot.draw(record, WIDE)
        if figure is None:
            return None
        content = io.BytesIO()
        figure.savefig(
            content,
            format="png",
            dpi=theme.UNITS * PNG_SCALE,
            facecolor=theme.LIGHT["paper"],
            metadata={"Software": None},
        )
    path = folder / f"{plot.name}.png"
    files.write_bytes(path, content.getvalue())
    return path


@contextmanager
def _style(salt: str) -> Iterator[None]:
    """Draw in our style; equal salts give equal ids inside an SVG, and so equal files."""
    with mpl.rc_context(theme.STYLE), mpl.rc_context({"svg.hashsalt": salt}), warnings.catch_warnings():
        # A name may hold characters that the font of the PNG lacks; a browser finds another font.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield
