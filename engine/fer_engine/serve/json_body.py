"""JSON in the bodies of requests and answers: reading, checking and writing."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import numpy as np

from fer_engine.errors import InputError
from fer_engine.runtime.backend import Faces


def decode_json(text: bytes | memoryview) -> Any:
    """Return the value of a request's JSON.

    Raises:
        InputError: it is not JSON in UTF-8; NaN and Infinity are not.
    """
    try:
        return _DECODER.decode(str(text, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON: {str(error)[:100]}") from None


def encode_json(value: Any) -> bytes:
    """Return a value as JSON without spaces."""
    return _ENCODER.encode(value).encode()


def checked_object(what: str, value: Any, needed: set[str], known: set[str]) -> dict[str, Any]:
    """Return a JSON object after a check: it has the keys `needed`, and no others than those and `known`.

    Raises:
        InputError: it is no such object.
    """
    if not isinstance(value, dict):
        raise InputError(f"{what} must be an object, got {type(value).__name__}")
    if missing := needed - value.keys():
        raise InputError(f"{what} lacks {', '.join(sorted(missing))}")
    if unknown := value.keys() - needed - known:
        takes = ", ".join(sorted(needed | known))
        raise InputError(f"{what} has {', '.join(sorted(unknown))[:80]}, which is not served; known: {takes}")
    return value


def pixels_of_json(data: Any, size: int, what: str = "data") -> Faces:
    """Return pixels, uint8 [size], from a list of whole numbers, or from nested lists; `what` is their name.

    np.array would hold Python's global lock for seconds on the largest list that a request may hold.

    Raises:
        InputError: they are no `size` whole numbers from 0 to 255.
    """
    rows: list[Any] = data if isinstance(data, list) else [None]
    while rows and isinstance(rows[0], list) and len(rows) <= size and _are_alike(rows):
        rows = list(chain.from_iterable(rows))
    try:
        kinds = set(map(type, rows))
        if len(rows) == size and kinds <= {int, float}:
            if float in kinds:  # JSON does not tell 1.0 from 1
                rows = [int(value) if int(value) == value else -1 for value in rows]
            return np.frombuffer(bytes(rows), np.uint8)
    except (ValueError, OverflowError):  # outside of 0 to 255
        pass
    raise InputError(f"{what} must be {size} whole numbers from 0 to 255, row after row")


def _are_alike(rows: list[Any]) -> bool:
    return set(map(type, rows)) == {list} and len(set(map(len, rows))) == 1


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


# Created once, because json.loads and json.dumps with options create one at each call. NaN and Infinity are
# not valid JSON.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))
