"""The record of one benchmark: plain JSON, complete enough to render every report from it."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_engine.artifact import files
from fer_engine.errors import FerError

KIND = "fer-bench"
FORMAT_VERSION = 2
# What reading a part raises that is missing, empty, of another kind or nested without end.
DAMAGE = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    StopIteration,
    RuntimeError,
)


def dumps(record: dict[str, Any]) -> str:
    """Return indented JSON in which a list of numbers takes one line."""
    text = json.dumps(record, indent=1, allow_nan=False)
    return re.sub(r"\[\n[\s\d.,eE+-]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


def load(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        FerError: the file cannot be read, or is no record of this format.
    """
    data = read(path, "fer-bench")
    check(data, str(path))
    return data


def read(path: Path, maker: str) -> Any:
    """Read the JSON that the command `maker` writes with --json.

    Raises:
        FerError: the file cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FerError(f"cannot read {path}: {error.strerror}; make a record with {maker} --json") from None
    except (ValueError, RecursionError) as error:
        raise FerError(f"{path} is not JSON ({error}); give a file that {maker} --json wrote") from None


def check(data: Any, name: str = "the record") -> None:
    """Make sure that `data` is a record of this format.

    Raises:
        FerError: it is not.
    """
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind != KIND:
        raise FerError(
            f"{name} is no benchmark record (kind {kind!r}, expected {KIND!r}); give one of fer-bench"
        )
    if data.get("format_version") != FORMAT_VERSION:
        raise FerError(
            f"{name} has format version {data.get('format_version')!r}, this release reads {FORMAT_VERSION}; "
            "measure again with this release"
        )


@contextlib.contextmanager
def reading(maker: str = "fer-bench") -> Iterator[None]:
    """Name a record that lacks a part, or holds another kind of value, as the cause of what goes wrong.

    `maker` is the command that makes a new one.

    Raises:
        FerError: the body met such a part.
    """
    try:
        yield
    except DAMAGE as error:
        raise FerError(
            f"the benchmark record is damaged ({type(error).__name__}: {error}); measure again with {maker}"
        ) from None


def check_writable(path: Path) -> None:
    """Make sure that a file can be put at `path`, before minutes are spent on its content.

    Raises:
        FerError: it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FerError(f"cannot write {path}: {error.strerror}; give a file that you may write") from None


def write(path: Path, record: dict[str, Any]) -> None:
    files.write_text(path, dumps(record))
