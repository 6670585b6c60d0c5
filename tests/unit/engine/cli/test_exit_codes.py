"""How commands end."""

import subprocess
import sys

import pytest

from fer_engine.cli.exit_codes import run_command
from fer_engine.errors import ConfigError


def raising(error):
    def body():
        raise error

    return body


def test_errors_of_ours_are_one_line(capsys):
    assert run_command(lambda: 3) == 3
    assert run_command(raising(ConfigError("no such thing"))) == 2
    assert run_command(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "error: no such thing\ninterrupted\n"


def test_a_missing_library_names_its_extra(capsys):
    assert run_command(raising(ModuleNotFoundError(name="cv2.data"))) == 2
    assert "cv2 is not installed; install it with pip install 'fer-engine[vision]'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        run_command(raising(ModuleNotFoundError(name="a_module_of_ours")))


@pytest.mark.parametrize("lines", [1, 100_000])  # of what fits into a buffer, and of what does not
def test_a_reader_that_has_left_is_no_traceback(lines):
    code = f"""
import sys
from fer_engine.cli.exit_codes import run_command
sys.stdin.read()
sys.exit(run_command(lambda: print("x\\n" * {lines}) or 0))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    process.stdout = None
    assert process.communicate("")[1] == ""
    assert process.returncode == 141
