"""The wheel holds the four packages, and nothing of what lies beside them."""

import subprocess
import sys
from pathlib import Path

import pytest

from wheel_content import differences

pytest.importorskip("hatchling", reason="hatchling is not installed")


def test_the_wheel_holds_the_four_packages_and_nothing_else(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert differences(wheel) == []
