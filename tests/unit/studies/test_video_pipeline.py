import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "2", "1"], "--every must be at least 2, got 1"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--frames", "1"], "--frames must be at least 30, a second of video, got 1"),
    ],
)
def test_what_would_leave_nothing_to_compare_is_refused(arguments, message, monkeypatch, capsys):
    pytest.importorskip("skimage")
    main = import_module("studies.video_pipeline").main
    monkeypatch.setattr(sys, "argv", ["video_pipeline.py", "no artifact", *arguments])
    assert main() == 2
    assert message in capsys.readouterr().err
