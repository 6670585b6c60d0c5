"""The command fer-predict in a process of its own, what it says, and what it is given."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

# Where the faces are, as a person sees them: left, top, right, bottom of eyes, nose and mouth.
ASTRONAUT = (200, 90, 250, 150)
HOPPER = (200, 130, 320, 270)
FER_PREDICT = [sys.executable, "-m", "fer_engine.predict"]
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")


def run(argv, **options):
    options = {"capture_output": True, "text": True, "timeout": 300, **options}
    return subprocess.run([*FER_PREDICT, *map(str, argv)], **options)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def errors(err):
    return [line for line in err.splitlines() if line.startswith("error: ")]


def covers(box, face):
    left, top, width, height = box
    return (
        left <= face[0]
        and top <= face[1]
        and left + width >= face[2]
        and top + height >= face[3]
        and width < 4 * (face[2] - face[0])
    )


def write_video(path, photos, frames):
    face = cv2.imread(str(photos / "astronaut.png"))[20:220, 130:330]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 200))
    for index in range(frames):
        image = np.full((200, 320, 3), 128, np.uint8)
        start = index % 60
        image[:, start : start + 200] = face
        writer.write(image)
    writer.release()
