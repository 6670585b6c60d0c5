"""One figure: what it is called, how it is drawn, and how it becomes SVG or PNG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from fer_bench.record.record import Record
from fer_bench.report.figures import theme
from fer_engine.artifact import files

WIDE, NARROW = 960, 360  # CSS pixels: a desktop's column, and a telephone's
PNG_SCALE = 2  # pixels of a PNG for one CSS pixel
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ET.register_namespace("", SVG)
ET.register_namespace("xlink", XLINK)
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
    root = ET.fromstring(content.getvalue())  # noqa: S314 - matplotlib's, which escapes the record
    height = round(figure.get_figheight() * theme.UNITS)
    root.attrib = {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": plot.title}
    for parent in list(root.iter()):
        _suit_page(parent)
    description = ET.Element(f"{{{SVG}}}desc")
    description.text = plot.caption
    root.insert(0, description)
    return ET.tostring(root, "unicode")


def _suit_page(element: ET.Element) -> None:
    """Give one element the page's colours; take from it what would reach beyond its figure."""
    for style in element.findall(f"{{{SVG}}}style"):  # for all elements of the page
        element.remove(style)
    if element.tag == f"{{{SVG}}}g":  # the same names in every figure, and nothing refers to them
        element.attrib.pop("id", None)
    if "d" in element.attrib:  # a path: hundredths of a pixel are enough
        words = element.attrib["d"].split()
        element.attrib["d"] = " ".join(word if word.isalpha() else f"{float(word):.2f}" for word in words)
    if "style" in element.attrib:
        for name, colour in theme.LIGHT.items():
            element.attrib["style"] = element.attrib["style"].replace(colour, f"var(--{name})")


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
