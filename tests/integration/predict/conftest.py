"""What the tests of fer-predict share: photographs, a video, and the first command."""

from __future__ import annotations

import os

import cv2
import matplotlib.cbook
import pytest

from fer_engine.predict.cli import main
from fer_predict import run, write_video


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Give a folder of two photographs, both in the public domain, with one face each."""
    from skimage import data

    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "astronaut.png"), data.astronaut()[:, :, ::-1])
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        (folder / "hopper.jpg").write_bytes(file.read())
    return folder


@pytest.fixture(scope="session")
def video(photos, tmp_path_factory):
    """Give a video of 30 frames at 10 a second, over which the astronaut drifts to the right."""
    path = tmp_path_factory.mktemp("videos") / "drift.avi"
    write_video(path, photos, 30)
    return path


@pytest.fixture(scope="session")
def home(photos, tmp_path_factory):
    """Give the result of the first command that a user gives, and an environment with an empty cache."""
    cache, empty = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("empty")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache), "HOME": str(cache)}
    done = run([str(photos / "hopper.jpg")], cwd=empty, env=environment)
    assert list(empty.iterdir()) == list(cache.iterdir()) == []
    return done, environment


@pytest.fixture
def predict(home, monkeypatch, capfd, tmp_path):
    """Give what runs the command in an empty folder, in this process."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, home[1][name])
    monkeypatch.chdir(tmp_path)

    def call(*argv: object, code: int = 0) -> tuple[str, str]:
        assert main([str(word) for word in argv]) == code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return out, err

    return call
