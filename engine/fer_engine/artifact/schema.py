"""Dataclasses from parsed JSON or TOML: the one reader of every file that this project writes.

The fields' annotations are the schema. Understood are str, int, float, bool, None, Any, Path, Literal,
unions, tuples, lists, dictionaries with text keys, and dataclasses. A key may be missing where its field has
a default, unless the dataclass has `COMPLETE = True`. The fields that it names in `LATER` may be missing all
the same: files of earlier releases lack them, and with their defaults they are not written. A dataclass with
a field `extra` keeps the keys that it does not know there; others refuse them. What types cannot say a
dataclass checks in its `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")

EXTRA = "extra"
_SCALARS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


class SchemaError(ValueError):
    """A value does not fit its field; `path` says which, as in "files.fp32.bytes", "" for the whole."""

    def __init__(self, path: str, expected: str, got: str) -> None:
        super().__init__(f"{path or 'the whole'} must be {expected}, got {got}")
        self.path, self.expected, self.got = path, expected, got


def parse(text: str | bytes, version: int) -> dict[str, Any]:
    """Parse the JSON text of a file whose "format_version" has to be `version`.

    Raises:
        SchemaError: it is not JSON, or of another version.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError("", "JSON", str(error)) from None
    if not isinstance(data, dict):
        raise SchemaError("", "an object", _shown(data))
    if data.get("format_version") != version:
        found = _shown(data.get("format_version"))
        raise SchemaError("format_version", f"{version}, which this release reads", found)
    return data


def from_json(kind: type[T], data: object, path: str = "") -> T:
    """Build a dataclass from parsed JSON; what its `__post_init__` raises passes through.

    The path of a SchemaError from there is completed with that of the dataclass.

    Raises:
        SchemaError: a key is missing or unknown, or a value has the wrong type.
    """
    if not isinstance(data, dict):
        raise SchemaError(path, "an object", _shown(data))
    hints = _hints(typing.cast("Any", kind))
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    extra = {name: value for name, value in data.items() if name not in fields or name == EXTRA}
    missing = sorted(name for name, field in fields.items() if name not in data and _is_required(kind, field))
    if missing or (extra and EXTRA not in fields):
        keys = sorted(name for name in fields if name != EXTRA)
        raise SchemaError(path, f"an object with the keys {keys}", str(sorted(map(str, data))))
    values = {
        name: _value(hints[name], data[name], f"{path}.{name}" if path else name)
        for name in fields
        if name in data and name != EXTRA
    }
    try:
        return kind(**values, **({EXTRA: extra} if EXTRA in fields else {}))
    except SchemaError as error:
        whole = ".".join(part for part in (path, error.path) if part)
        raise SchemaError(whole, error.expected, error.got) from None


def to_json(value: Any) -> Any:
    """Return a dataclass, or a mapping or list with some, as JSON's types.

    What a field `extra` holds is written beside the fields that are known.
    """
    if dataclasses.is_dataclass(value):
        later = getattr(value, "LATER", ())
        fields = {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
            if field.name not in later or getattr(value, field.name) != field.default
        }
        value = fields | fields.pop(EXTRA, {})
    if isinstance(value, Mapping):
        return {key: to_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _is_required(kind: type[Any], field: dataclasses.Field[Any]) -> bool:
    absent = dataclasses.MISSING
    if field.name in getattr(kind, "LATER", ()):
        return False
    return getattr(kind, "COMPLETE", False) or (field.default is absent and field.default_factory is absent)


def _value(hint: Any, data: object, path: str) -> Any:
    """Return `data` as what the annotation `hint` says it is."""
    origin = typing.get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return _one_of(typing.get_args(hint), data, path)
    if origin is Literal:
        if any(type(data) is type(choice) and data == choice for choice in typing.get_args(hint)):
            return data
        raise SchemaError(path, f"one of {', '.join(map(str, typing.get_args(hint)))}", _shown(data))
    if origin in (tuple, list, Sequence):
        return _sequence(origin, typing.get_args(hint), data, path)
    if origin in (dict, Mapping):
        return _object(typing.get_args(hint), data, path)
    if dataclasses.is_dataclass(origin):
        return from_json(typing.cast("type[Any]", origin), data, path)
    if origin is Path:
        return Path(_scalar(str, data, path))
    return data if origin is Any else _scalar(origin, data, path)


def _one_of(hints: tuple[Any, ...], data: object, path: str) -> Any:
    errors = []
    for hint in hints:
        try:
            return _value(hint, data, path)
        except SchemaError as error:  # noqa: PERF203 - a union has few members
            # A traceback would tie this frame, and with it all callers', to a list of its own until the
            # garbage collector comes.
            errors.append(error.with_traceback(None))
    deepest = max(errors, key=lambda error: len(error.path))
    if deepest.path != path:  # one of the kinds fits but for what lies in it
        raise SchemaError(deepest.path, deepest.expected, deepest.got)
    raise SchemaError(path, " or ".join(error.expected for error in errors), _shown(data))


def _sequence(origin: Any, hints: tuple[Any, ...], data: object, path: str) -> Any:
    if not isinstance(data, (list, tuple)):
        raise SchemaError(path, "a list", _shown(data))
    if origin is tuple and Ellipsis not in hints:
        if len(data) != len(hints):
            raise SchemaError(path, f"a list of {len(hints)}", _shown(data))
        each: Sequence[Any] = hints
    else:
        hint = hints[0] if hints else Any
        if hint in _SCALARS and all(type(entry) is hint for entry in data):  # thousands of samples
            return list(data) if origin is list else tuple(data)
        each = [hint] * len(data)
    values = [
        _value(hint, entry, f"{path}[{index}]")
        for index, (hint, entry) in enumerate(zip(each, data, strict=True))
    ]
    return values if origin is list else tuple(values)


def _object(hints: tuple[Any, ...], data: object, path: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise SchemaError(path, "an object", _shown(data))
    hint = hints[1] if hints else Any
    return {key: _value(hint, entry, f"{path}.{key}") for key, entry in data.items()}


def _scalar(kind: Any, data: object, path: str) -> Any:
    if kind is float and type(data) is int:
        try:
            return float(data)
        except OverflowError:  # a whole number beyond all floats
            raise SchemaError(path, _SCALARS[float], "one that is too large") from None
    if type(data) is kind:
        return data
    raise SchemaError(path, _SCALARS[kind], _shown(data))


def _shown(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."
