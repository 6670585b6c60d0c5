"""How a contender is drawn: the same in every figure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, get_args

from matplotlib.lines import Line2D

from fer_bench.contenders.contender import BASELINE, OVERHEAD, REFERENCE
from fer_bench.record.record import Record
from fer_bench.report.figures.theme import LIGHT

LONGEST = 40  # characters of a name
BACKENDS = {"onnxruntime": "blue", "openvino": "green", "auto": "purple"}
OTHER_BACKEND, PEER = "amber", "muted"
OWN_COLOURS = {REFERENCE: "red", BASELINE: "gray"}
PRECISIONS = {"fp32": "o", "bf16": "D", "fp16": "s", "int8": "^", "int8-cpu": "v", "auto": "*"}
PEERS = "PXdphH<>8"
# Contenders of one colour and marker, as in a sweep over threads, differ in what is filled.
Fill = Literal["full", "none", "left", "top", "right", "bottom"]
FILLS: tuple[Fill, ...] = get_args(Fill)


@dataclass(frozen=True, slots=True)
class Mark:
    name: str
    colour: str
    marker: str
    fill: Fill
    line: Literal["-", ":"]

    @property
    def style(self) -> dict[str, Any]:
        """The mark as matplotlib's properties of a line."""
        return {"color": self.colour, "marker": self.marker, "fillstyle": self.fill}

    @property
    def handle(self) -> Line2D:
        """Its entry in a legend."""
        return Line2D([], [], **self.style, linestyle=self.line, label=self.name)


def marks_of(record: Record) -> dict[str, Mark]:
    """Return the mark of each contender that computes something, in the record's order."""
    found, peers, taken = {}, count(), Counter[tuple[str, str]]()
    for contender in record.contenders:
        name = contender.name
        if name == OVERHEAD:
            continue
        if contender.kind == "engine":
            colour = BACKENDS.get(str(contender.backend), OTHER_BACKEND)
            marker = PRECISIONS.get(contender.precision, "X")
        elif name in OWN_COLOURS:
            colour, marker = OWN_COLOURS[name], "o"
        else:
            colour, marker = PEER, PEERS[next(peers) % len(PEERS)]
        fill = FILLS[taken[colour, marker] % len(FILLS)]
        taken[colour, marker] += 1
        line: Literal["-", ":"] = "-" if contender.kind == "engine" else ":"
        found[name] = Mark(short(name), LIGHT[colour], marker, fill, line)
    return found


def short(name: str, longest: int = LONGEST) -> str:
    """Return `name` fit for a figure: one line, of bounded length."""
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
