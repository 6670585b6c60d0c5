"""The colours of figures and page, light and dark, and the style of the figures."""

from __future__ import annotations

from typing import Any

UNITS = 72  # CSS pixels an inch of a figure: matplotlib's SVG has one unit a point
DEEPEST = 0.5  # opacity of a cell's full shade: text in ink keeps a contrast of 4.5:1 on it, light or dark

# The hues keep apart for the colour-blind (after Okabe & Ito, "Color Universal Design", 2008), darkened
# or lightened to a contrast of at least 3:1 with the paper. No figure tells by hue alone.
LIGHT = {
    "paper": "#fdfdfc",
    "ink": "#1b1f24",
    "muted": "#59626d",
    "grid": "#d8dce2",
    "blue": "#0a62a5",
    "green": "#007a5a",
    "red": "#c04a02",
    "purple": "#9c4a80",
    "amber": "#946700",
    "gray": "#4e5660",
}
DARK = {
    "paper": "#14171b",
    "ink": "#e8ebee",
    "muted": "#a3acb7",
    "grid": "#333a43",
    "blue": "#6ab4f0",
    "green": "#3ac79b",
    "red": "#ff9158",
    "purple": "#e39ac6",
    "amber": "#e3b14a",
    "gray": "#b4bcc6",
}

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 12,
    "text.color": LIGHT["ink"],
    "text.parse_math": False,  # a name is never a formula
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, found and copied
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
