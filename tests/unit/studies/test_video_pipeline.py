import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "studies" / "video_pipeline.py"


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
    main = runpy.run_path(str(SCRIPT))["main"]
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, "no artifact", *arguments])
    assert main() == 2
    assert message in capsys.readouterr().err
