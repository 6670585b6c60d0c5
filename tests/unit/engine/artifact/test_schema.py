"""The one reader of files: what fits, what is refused, and with which words."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from fer_engine.artifact.schema import SchemaError, from_json, parse, to_json


@dataclass(frozen=True)
class Inner:
    size: int
    share: float | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    pair: tuple[int, float] | None = None
    rates: list[float] = field(default_factory=list)
    inner: Inner | None = None
    parts: dict[str, Inner] = field(default_factory=dict)
    free: Mapping[str, Any] = field(default_factory=dict)
    on: bool = False
    place: Path | None = None


@dataclass(frozen=True)
class Open:
    name: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Even:
    size: int

    def __post_init__(self):
        if self.size % 2:
            raise SchemaError("size", "even", str(self.size))


@dataclass(frozen=True)
class Pair:
    both: tuple[Even, ...]


WHOLE = {
    "name": "x",
    "kind": "b",
    "sizes": [1, 2],
    "pair": [1, 2.5],
    "rates": [1.5, 2.0],
    "inner": {"size": 3, "share": None},
    "parts": {"p": {"size": 4, "share": 0.5}},
    "free": {"any": [1, {"x": None}]},
    "on": True,
    "place": str(Path("a", "b")),
}


def test_what_was_written_is_read():
    read = from_json(Outer, WHOLE)
    assert read.pair == (1, 2.5)
    assert read.place == Path("a", "b")
    assert read.parts == {"p": Inner(4, 0.5)}
    assert to_json(read) == WHOLE


def test_defaults_fill_what_is_missing():
    assert from_json(Outer, {"name": "x"}) == Outer("x")


def test_whole_numbers_are_floats_where_floats_are_wanted():
    share = from_json(Inner, {"size": 1, "share": 2}).share
    assert (type(share), share) == (float, 2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, r"name must be a text, got 1"),
        ({"kind": "c"}, r"kind must be one of a, b, got 'c'"),
        ({"sizes": 3}, r"sizes must be a list, got 3"),
        ({"sizes": [1, True]}, r"sizes\[1\] must be a whole number, got True"),
        ({"pair": [1]}, r"pair must be a list of 2 or null, got \[1\]"),
        ({"rates": [1.0, "x"]}, r"rates\[1\] must be a number, got 'x'"),
        ({"rates": [10**400]}, r"rates\[0\] must be a number, got one that is too large"),
        ({"inner": {"size": "x"}}, r"inner.size must be a whole number, got 'x'"),
        ({"inner": 3}, r"inner must be an object or null, got 3"),
        ({"parts": {"p": {}}}, r"parts.p must be an object with the keys \['share', 'size'\], got \[\]"),
        ({"free": []}, r"free must be an object, got \[\]"),
        ({"on": 1}, r"on must be true or false, got 1"),
        ({"more": 1}, r"the whole must be an object with the keys .*got .*'more'"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(SchemaError, match=message):
        from_json(Outer, WHOLE | change)


def test_no_object_at_all():
    with pytest.raises(SchemaError, match="the whole must be an object, got 'x'"):
        from_json(Outer, "x")


def test_long_values_are_cut():
    with pytest.raises(SchemaError) as caught:
        from_json(Inner, {"size": "x" * 1000})
    assert len(str(caught.value)) < 150


def test_unknown_keys_are_kept_where_there_is_a_place():
    read = from_json(Open, {"name": "x", "new": [1]})
    assert read.extra == {"new": [1]}
    assert to_json(read) == {"name": "x", "new": [1]}


def test_our_own_errors_are_not_taken_for_damage():
    @dataclass(frozen=True)
    class Broken:
        size: int

        def __post_init__(self):
            raise AttributeError("a bug")

    with pytest.raises(AttributeError, match="a bug"):
        from_json(Broken, {"size": 1})


@dataclass(frozen=True, slots=True)
class Complete:
    COMPLETE: ClassVar[bool] = True

    name: str = "net"
    sizes: tuple[int, ...] = ()


def test_one_that_has_to_be_complete_needs_the_keys_with_a_default_too():
    assert from_json(Complete, {"name": "a", "sizes": [1]}) == Complete("a", (1,))
    with pytest.raises(SchemaError, match=r"the keys \['name', 'sizes'\], got \['sizes'\]"):
        from_json(Complete, {"sizes": []})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the whole must be JSON, got Expecting"),
        (b"\xff\xfe\x00", "the whole must be JSON, got "),
        ("[" * 200_000, "the whole must be JSON, got "),
        ("[]", "the whole must be an object, got []"),
        ("{}", "format_version must be 1, which this release reads, got None"),
        ('{"format_version": 2}', "format_version must be 1, which this release reads, got 2"),
    ],
)
def test_text_that_is_no_file_of_ours(text, message):
    with pytest.raises(SchemaError) as caught:
        parse(text, 1)
    assert str(caught.value).startswith(message)


def test_text_of_the_version_is_parsed():
    assert parse('{"format_version": 1, "a": [1]}', 1) == {"format_version": 1, "a": [1]}


def test_what_a_part_refuses_itself_is_named_by_its_place():
    with pytest.raises(SchemaError, match=r"^both\[1\].size must be even, got 3$"):
        from_json(Pair, {"both": [{"size": 2}, {"size": 3}]})


def test_lists_and_mappings_of_dataclasses_are_written_too():
    assert to_json({"a": [Inner(1), Inner(2, 0.5)]}) == {
        "a": [{"size": 1, "share": None}, {"size": 2, "share": 0.5}]
    }


@pytest.mark.parametrize("share", [None, "half"])
def test_what_the_caller_holds_is_freed_without_the_garbage_collector(share):
    """The members of a union that do not fit raise: their tracebacks must not outlive the call."""

    class Held:
        pass

    def read():
        held = Held()
        with contextlib.suppress(SchemaError):
            from_json(Inner, {"size": 1, "share": share})
        return weakref.ref(held)

    gc.disable()
    try:
        assert read()() is None
    finally:
        gc.enable()
