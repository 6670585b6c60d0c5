"""Breaks a copy of the package in each of the listed ways, and shows that the simulated device tells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fer_engine
from mutations.mutations import MUTATIONS

TESTS = Path(__file__).parents[1] / "simulated"
PACKAGE = Path(fer_engine.__file__).parent
TESTS_FAILED = 1  # pytest's exit code where tests ran and some failed
# A mutation may wait for ever; the unbroken package needs seconds, or a minute and more on a busy machine.
TIMEOUT = 300


@pytest.fixture
def copy(tmp_path):
    return Path(
        shutil.copytree(PACKAGE, tmp_path / "fer_engine", ignore=shutil.ignore_patterns("__pycache__"))
    )


def run_tests(copy):
    """Run the simulated device's tests on a copy of the package; return pytest's exit code and output."""
    tests = [str(path) for path in sorted(TESTS.glob("test_*.py")) if path.name != "test_bindings.py"]
    options = ["-x", "-q", "--tb=line", f"--confcutdir={TESTS}", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        capture_output=True,
        text=True,
        env=environment,
        cwd=TESTS.parents[1],
        timeout=TIMEOUT,
    )
    return ran.returncode, ran.stdout


def test_the_copy_is_what_runs_and_is_right(copy, tmp_path):
    seen = tmp_path / "seen"
    with (copy / "__init__.py").open("a") as module:
        module.write(f"open({str(seen)!r}, 'w').close()\n")
    code, output = run_tests(copy)
    assert seen.exists()
    assert code == 0, output


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_tests_notice(copy, mutation):
    path = copy / mutation.file
    text = path.read_text("utf-8")
    assert text.count(mutation.old) == 1
    path.write_text(text.replace(mutation.old, mutation.new), "utf-8")
    compile(path.read_text("utf-8"), path, "exec")
    try:
        code, output = run_tests(copy)
    except subprocess.TimeoutExpired:
        return  # tests that never end are noticed too
    assert code == TESTS_FAILED, output
