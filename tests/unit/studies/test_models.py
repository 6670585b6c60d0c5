import json
from types import SimpleNamespace

import pytest

from studies import models


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ("[]", "is damaged: the whole must be an object, got []"),
        (
            json.dumps({"models": []}),
            "'environment', 'faces', 'models', 'rounds', 'seconds'], got ['models']",
        ),
    ],
)
def test_a_record_that_cannot_be_shown_is_an_error_of_one_line(tmp_path, capsys, text, message):
    path, page = tmp_path / "models.json", tmp_path / "models.md"
    if text is not None:
        path.write_text(text)
    assert models.main(["--render", "--json", str(path), "--markdown", str(page)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "benchmarks/studies/models.py" in error
    assert error.count("\n") == 1
    assert not page.exists()


def test_an_unknown_network_is_refused_before_anything_is_measured(artifact, tmp_path, capsys):
    arguments = [str(artifact), "--data", "nowhere.npz", "--json", str(tmp_path / "models.json")]
    assert models.main(arguments) == 2
    assert "unknown model 'tiny'" in capsys.readouterr().err


def test_the_load_before_and_after_is_in_record_and_page(tmp_path, monkeypatch, capsys):
    loads = iter((1.0, 2.0))
    monkeypatch.setattr(models.environment, "load_average", lambda: next(loads))
    subject = SimpleNamespace(inputs=SimpleNamespace(description="faces"))
    monkeypatch.setattr(models, "read_subjects", lambda *_: [subject])
    monkeypatch.setattr(models, "measure", lambda *_: iter(()))
    path = tmp_path / "models.json"
    assert models.main(["artifact", "--data", "fer2013.csv", "--json", str(path)]) == 0
    assert json.loads(path.read_text())["environment"]["load_average"] == {"before": 1.0, "after": 2.0}
    assert "Load average: 1.00 before,\n2.00 after." in capsys.readouterr().out
