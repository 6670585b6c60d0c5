import sys

import pytest

from fer_bench.contenders.subprocess_run import output_of
from fer_engine.errors import BackendError


def python(code):
    return [sys.executable, "-c", code]


def test_what_was_printed_comes_back():
    code = "import os, sys; print(os.environ['WORD'], 'PATH' in os.environ); print('noise', file=sys.stderr)"
    assert output_of("it", python(code), environment={"WORD": "said"}) == "said True\n"


def test_a_failure_names_the_last_words():
    code = "import sys; print('a\\nb\\nc\\nd', file=sys.stderr); sys.exit(7)"
    with pytest.raises(BackendError, match=r"^it failed \(exit code 7\): b / c / d; do that$"):
        output_of("it", python(code), advice="; do that")


def test_who_says_nothing_is_said_to():
    with pytest.raises(BackendError, match="it wrote nothing on standard error"):
        output_of("it", python("raise SystemExit(1)"))


def test_what_takes_too_long_is_ended():
    with pytest.raises(BackendError, match=r"it was not done after 0\.2 s"):
        output_of("it", python("import time; time.sleep(60)"), seconds=0.2)
