"""A table of a report, and how its figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UNKNOWN = "not available"


@dataclass(frozen=True, slots=True)
class Table:
    """`note` says how to read the figures; of a `ranked` table the first row is the best one."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str
    ranked: bool = False


def pipes(columns: Sequence[str], rows: Iterable[Sequence[str]], *, ranked: bool = False) -> list[str]:
    """Return the lines of a table in Markdown; all columns but the first hold figures.

    Of a `ranked` table the name of the first row is bold.
    """
    rule = ("---", *("---:" for _ in columns[1:]))
    lines = [
        (f"**{name}**" if ranked and not place else name, *cells) for place, (name, *cells) in enumerate(rows)
    ]
    return [_line(columns), _line(rule), *map(_line, lines)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def milliseconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def percent(share: float) -> str:
    return f"{100 * share:.2f}"


def number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)
