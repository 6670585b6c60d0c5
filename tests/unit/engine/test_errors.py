"""The one helper that tells what foreign code says of its failure."""

from __future__ import annotations

import pytest

from fer_engine.errors import first_line


@pytest.mark.parametrize(
    ("error", "plain", "named"),
    [
        (ValueError("\n  first\nsecond"), "first", "ValueError: first"),
        (SystemExit(), "SystemExit", "SystemExit"),
        (KeyError("x"), "'x'", "KeyError: 'x'"),
    ],
)
def test_an_error_is_told_in_one_line(error, plain, named):
    assert first_line(error) == plain
    assert first_line(error, named=True) == named
