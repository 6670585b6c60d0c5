"""What is left when fer-predict is stopped: by Ctrl-C, a full disk, or a reader that goes away."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import pytest

from fer_predict import FER_PREDICT, errors, lines, run, unix, write_video

# A camera that gives two images, and hangs.
HANGING = """
import sys, time
import cv2
import pytest
import numpy as np
from fer_engine.predict.cli import main

class Camera:
    taken = 0

    def isOpened(self):
        return True

    def get(self, what):
        return 64.0

    def read(self):
        time.sleep((0, 1, 600)[self.taken])
        self.taken += 1
        return True, np.full((64, 64, 3), 128, np.uint8)

    def release(self):
        pass

real = cv2.VideoCapture
cv2.VideoCapture = lambda source: Camera() if source == 0 else real(source)
sys.exit(main())
"""


@unix
@pytest.mark.parametrize("begin", [b"", b"\xff\xd8\xff\xe0" + bytes(2**20)], ids=["nothing", "an image"])
def test_ctrl_c_ends_the_wait_for_standard_input(home, begin):
    with subprocess.Popen(
        [*FER_PREDICT, "-"],
        env=home[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(begin)  # more than a pipe holds: it is being read
        process.stdin.flush()
        time.sleep(0.2 if begin else 3)  # until the rest of it is taken too
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b"interrupted\n"


@unix
def test_a_full_disk_is_told_and_whole_lines_are_kept(home, video, tmp_path):
    import resource

    limit = 2000
    done = run(
        [video, "--json", "f.jsonl"],
        env=home[1],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (told,) = errors(done.stderr)
    assert told.startswith("error: cannot write f.jsonl: ")
    kept = (tmp_path / "f.jsonl").read_text()
    assert kept.endswith("\n")
    assert limit - 400 < len(kept) <= limit
    assert [entry["frame"] for entry in lines(kept)] == list(range(kept.count("\n")))


@unix
def test_ctrl_c_leaves_whole_results(home, photos, tmp_path):
    write_video(tmp_path / "long.avi", photos, 600)
    command = [*FER_PREDICT, "long.avi", "--json", "f.jsonl", "--output", "seen.mp4"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=home[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(20):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    found = lines((tmp_path / "f.jsonl").read_text())
    seen = cv2.VideoCapture(str(tmp_path / "seen.mp4"))
    assert 20 <= len(found) < 600
    assert abs(seen.get(cv2.CAP_PROP_FRAME_COUNT) - len(found)) <= 1
    assert seen.read()[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.jsonl", "long.avi", "seen.mp4"]


@unix
def test_a_reader_that_goes_away_ends_it_without_a_traceback(home, video):
    with subprocess.Popen(
        [*FER_PREDICT, str(video)], env=home[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 2
    assert [line.split(";")[0] for line in errors(err)] == [
        "error: cannot write standard output: Broken pipe"
    ]
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_a_disk_that_fills_up_with_copies_ends_it(predict, photos, tmp_path, monkeypatch):
    """One error, not one for each copy that is still to come; what is there is whole."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        shutil.copy(photos / "hopper.jpg", tmp_path / "in" / f"{name}.jpg")
    room = iter([True, False, False])

    def fsync(_):
        if not next(room):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    _, err = predict("in", "--output", "out", "--json", "f.jsonl", code=2)
    (told,) = errors(err)
    assert "b.jpg: No space left on device" in told
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.jpg"]
    assert cv2.imread("out/a.jpg") is not None
    assert len(lines((tmp_path / "f.jsonl").read_text())) == 2


@unix
def test_ctrl_c_ends_a_camera_that_hangs(home, tmp_path):
    command = [sys.executable, "-c", HANGING, "0", "--json", "f.jsonl", "--output", "seen.avi"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=home[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "camera 0: no face\n"
        assert process.stdout.readline().startswith("camera 0 at ")  # by now the first is written
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)  # the camera takes ten minutes
    assert (process.returncode, err.splitlines()[-1]) == (130, "interrupted")
    assert cv2.VideoCapture(str(tmp_path / "seen.avi")).get(cv2.CAP_PROP_FRAME_COUNT) >= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.jsonl", "seen.avi"]
