"""Progress on standard error, and without it."""

from __future__ import annotations

from fer_engine.system import progress


def test_plain_lines_where_there_is_no_terminal(capsys):
    with progress.bar("count", 3) as advance:
        advance()
        advance(1, "two")
    assert capsys.readouterr().err == "count\n  two\n"


def test_quiet_hides_it_and_ends_with_its_block(capsys):
    with progress.hidden(), progress.bar("count", 3) as advance:
        advance(1, "two")
    with progress.hidden(False), progress.bar("shown"):
        pass
    assert capsys.readouterr().err == "shown\n"
