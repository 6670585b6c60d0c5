"""What stands around the source says the same as the source: workflow, hooks, citation, templates."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import wheel_content
from fer_engine import __version__

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))["jobs"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))


def recipe(target: str) -> list[str]:
    """The command lines of a target of the Makefile."""
    lines = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert lines, f"make {target} is not there"
    return [line.strip() for line in lines[1].splitlines()]


def test_tests_run_on_every_python_that_is_promised():
    promised = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert JOBS["tests"]["strategy"]["matrix"]["python-version"] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"


def test_pull_requests_get_the_quick_tests_and_main_all():
    steps = {step["run"]: step["if"] for step in JOBS["tests"]["steps"] if "run" in step}
    assert steps == {
        "make quick": "github.event_name == 'pull_request'",
        "make test": "github.event_name != 'pull_request'",
    }
    assert recipe("quick") == [line + ' -m "not slow"' for line in recipe("test")]


@pytest.mark.slow
def test_nothing_of_the_slow_suites_is_quick():
    suites = ["tests/mutations", "tests/integration/page", "tests/parity", "tests/gpu"]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", *suites]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout


def test_the_workflow_asks_for_targets_and_files_that_there_are():
    commands = "\n".join(step.get("run", "") for job in JOBS.values() for step in job["steps"])
    for target in re.findall(r"\bmake (\w+)", commands):
        recipe(target)
    for path in re.findall(r"\btests/\S+\.py", commands):
        assert (ROOT / path).is_file()
    (asked,) = re.findall(r"for command in (.*); do", commands)
    assert set(asked.split()) == set(PROJECT["scripts"])


def test_the_hooks_run_what_make_lint_runs():
    (local,) = (repo for repo in HOOKS["repos"] if repo["repo"] == "local")
    assert [hook["entry"].replace(".venv/bin", "$(BIN)") for hook in local["hooks"]] == recipe("lint")


def test_the_citation_is_of_this_release():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "authors"} <= citation.keys()


@pytest.mark.parametrize("package", wheel_content.PACKAGES)
def test_the_map_for_contributors_names_every_room(package):
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, section = text.partition(f"{package}/")
    section = section.partition("\n```")[0]
    for folder in (ROOT / package).iterdir():
        if (folder / "__init__.py").is_file():
            assert f"{folder.name}/" in section, f"CONTRIBUTING.md does not say what {folder.name}/ is for"


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_form_has_what_forms_need(form):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text("utf-8")
    fields = yaml.safe_load(text)
    assert {"name", "description", "body"} <= fields.keys()
    names = [field["id"] for field in fields["body"]]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in fields["body"])


def test_a_wheel_is_held_against_the_source(tmp_path):
    wheel = tmp_path / "fer_engine-0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for name in [*wheel_content.expected(), "fer_engine-0.dist-info/METADATA"]:
            archive.writestr(name, "")
    assert wheel_content.differences(wheel) == []
    assert "fer_engine/py.typed" in wheel_content.expected()
    with ZipFile(wheel, "a") as archive:
        archive.writestr("studies/models.py", "")
    assert wheel_content.differences(wheel) == ["not of the source: studies/models.py"]
