"""The workflow that shows the regression gate, as far as this can be tested without its runner."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fer_bench import arguments
from fer_bench.record import FORMAT_VERSION

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "bench.yml"


def commands():
    text = WORKFLOW.read_text("utf-8")
    return [shlex.split(line) for line in re.findall(r"run: \S*fer-bench (.*)", text)]


def test_every_fer_bench_command_is_one_that_it_takes():
    found = commands()
    assert len(found) == 4
    for words in found:
        command = words.pop(0) if words[0] in arguments.COMMANDS else None
        options = arguments.parser(command).parse_args(words)
        if command is None:
            assert arguments.bench_options(options).rounds >= 6
        else:
            assert command == "compare"
            assert arguments._share("--max-slowdown", options.max_slowdown) == pytest.approx(0.1)
            assert options.max_accuracy_drop == pytest.approx(0.3)


def test_it_is_yaml_that_names_its_steps():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    job = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["bench"]
    used = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert used == ["actions/checkout"] * 2 + ["actions/setup-python", "actions/upload-artifact"]
    assert all("uses" in step or "name" in step for step in job["steps"])


def test_records_are_compared_where_their_formats_are_the_same():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    steps = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["bench"]["steps"]
    formats = next(step for step in steps if step.get("id") == "format")["run"]
    comparing = [step for step in steps if "fer-bench compare" in step.get("run", "")]
    for step, base in zip(comparing, ("committed", "base"), strict=True):
        assert step["if"] == f"steps.format.outputs.{base} == steps.format.outputs.head"
    (code,) = re.findall(r"python\" -c '(.*?)'", formats)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == FORMAT_VERSION
    assert "base/docs/results/quiet.json" in formats
