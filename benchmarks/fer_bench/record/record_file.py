"""Records as files: JSON with its format's version."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from fer_bench.record import FORMAT_VERSION
from fer_bench.record.record import Record
from fer_engine.artifact import files
from fer_engine.artifact.schema import SchemaError, from_json, to_json
from fer_engine.errors import FerError

KIND = "fer-bench"


def dump_record(record: Record) -> str:
    """Return a record as JSON; parts that were not measured are left out."""
    parts = {name: part for name, part in to_json(record).items() if part is not None}
    return dump_json({"kind": KIND, "format_version": FORMAT_VERSION, **parts})


def dump_json(data: dict[str, Any]) -> str:
    """Return indented JSON in which a list of numbers takes one line."""
    text = json.dumps(data, indent=1, allow_nan=False)
    return re.sub(r"\[\n[\s\d.,eE+-]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


def write_record(path: Path, record: Record) -> None:
    files.write_text(path, dump_record(record))


def load_record(path: Path) -> Record:
    """Read a record.

    Raises:
        FerError: the file cannot be read, is no record of this format, or is damaged.
    """
    return parse_record(load_json(path, "fer-bench"), str(path))


def load_json(path: Path, maker: str) -> Any:
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


def parse_record(data: object, name: str = "the record") -> Record:
    """Return the record that parsed JSON holds; messages call it `name`.

    Raises:
        FerError: it is no record of this format, or a part is missing or of another kind.
    """
    parts = dict(data) if isinstance(data, dict) else {}
    kind, version = parts.pop("kind", None), parts.pop("format_version", None)
    if kind != KIND:
        raise FerError(
            f"{name} is no benchmark record (kind {kind!r}, expected {KIND!r}); give one of fer-bench"
        )
    if version != FORMAT_VERSION:
        raise FerError(
            f"{name} has format version {version!r}, this release reads {FORMAT_VERSION}; "
            "measure again with this release"
        )
    try:
        return from_json(Record, parts)
    except (SchemaError, FerError) as error:  # a FerError is of options or spec that these refuse
        raise FerError(f"{name} is damaged: {error}; measure again with fer-bench") from None


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
