"""Each command runs as a module too, as where its script is not on the path."""

import importlib
import subprocess
import sys

import pytest

from fer_engine import __version__

COMMANDS = {
    "fer_engine.predict": "fer-predict",
    "fer_engine.serve": "fer-serve",
    "fer_train": "fer-train",
    "fer_export": "fer-export",
    "fer_bench": "fer-bench",
}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize(("module", "command"), COMMANDS.items())
def test_a_command_runs_as_a_module(module, command):
    done = run(module, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{command} {__version__}\n", "")


@pytest.mark.parametrize("module", COMMANDS)
def test_its_exit_code_is_the_command_s(module):
    assert run(module, "--no-such-option").returncode == 2


@pytest.mark.parametrize("module", ["fer_engine.predict", "fer_engine.serve"])
def test_every_option_has_a_help_text_with_its_default(module):
    parser = importlib.import_module(f"{module}.cli")._parser()
    options = [action for action in parser._actions if action.option_strings]
    told = {option for action in options for option in action.option_strings if "default: " in action.help}
    every = {option for action in options for option in action.option_strings}
    assert every - told == {"-h", "--help", "--version"}
    assert {"-m", "--model"} <= told
