"""Progress of long work on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

_HIDDEN = ContextVar("_HIDDEN", default=False)


class Advance(Protocol):
    """What the work calls as it goes on."""

    def __call__(self, count: int = 1, step: str = "") -> None:
        """Say that `count` more of the total are done, and by name which step is under way."""
        ...


@contextlib.contextmanager
def hidden(hide: bool = True) -> Iterator[None]:
    """Show no progress while the body runs, as with --quiet; `hide` is whether to."""
    token = _HIDDEN.set(hide)
    try:
        yield
    finally:
        _HIDDEN.reset(token)


@contextlib.contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Advance]:
    """Show `title` while the body works; a `total` of None is not known beforehand."""
    if _HIDDEN.get():
        yield silent
        return
    if not sys.stderr.isatty():
        print(title, file=sys.stderr, flush=True)
        yield _plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = columns if total is not None else (columns[0], columns[1], columns[3])
    # Standard output may be a pipe that another program reads: it is none of the bar's business.
    with Progress(*shown, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(title, total=total)

        def advance(count: int = 1, step: str = "") -> None:
            description = f"{title}: {step}" if step else None
            progress.update(task, advance=count, description=description)

        yield advance


def _plain(count: int = 1, step: str = "") -> None:  # noqa: ARG001 - a plain line has no bar to move
    if step:
        print(f"  {step}", file=sys.stderr, flush=True)


def silent(count: int = 1, step: str = "") -> None:
    """Be an `Advance` that shows nothing."""
