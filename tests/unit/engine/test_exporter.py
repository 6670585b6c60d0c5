from pathlib import Path

import pytest

import fer_engine
from fer_engine import BackendError, exporter

ENGINE = Path(fer_engine.__file__).parent


def test_one_module_knows_the_exporter_and_its_command_line():
    holders = {
        path.relative_to(ENGINE).as_posix()
        for path in ENGINE.rglob("*.py")
        if any(words in path.read_text("utf-8") for words in ("fer-export --", "fer_export"))
    }
    assert holders == {"exporter.py"}


def test_without_what_builds_a_plan_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(exporter, "BUILD_NEEDS", ("fer_engine", "no_such_onnx"))
    with pytest.raises(BackendError, match=r"no_such_onnx is not installed; .*'fer-engine\[export\]'"):
        exporter.build_plan([], tmp_path)


def test_what_the_builder_says_last_is_passed_on(monkeypatch, tmp_path):
    monkeypatch.setattr(exporter, "EXPORTER", ("-c", "import sys; sys.exit('first\\nerror: no GPU\\n\\n')"))
    with pytest.raises(BackendError, match=r"^fer-export could not build the plan: no GPU$"):
        exporter.build_plan([], tmp_path)
