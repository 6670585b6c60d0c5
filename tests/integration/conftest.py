"""What the tests of fer-export share: a small dataset, a folder's content, an error as a user sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fer_export.cli import main


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a dataset of noise, 140 faces of Training and 70 of PublicTest."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    count = 210
    np.savez(
        path,
        images=np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8),
        labels=(np.arange(count) % 7).astype(np.uint8),
        usage=np.where(np.arange(count) < 140, "Training", "PublicTest"),
    )
    return path


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, bytes]]:
    """Give what reads all files of a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return read


@pytest.fixture
def error_of(capsys: pytest.CaptureFixture[str]) -> Callable[[list[object]], str]:
    """Give what runs fer-export on bad input and returns what it says: one line, exit code 2."""

    def run(argv: list[object]) -> str:
        assert main([str(word) for word in argv]) == 2
        error = capsys.readouterr().err.strip()
        assert error.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in error
        return error

    return run
