"""A recording as browsers make them, whose header may state any rate."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

RATE = 10  # frames a second, in truth
FRAMES = 40
DEFAULT_DURATION = b"\x23\xe3\x83\x84"  # Matroska's element for a frame's nanoseconds, in 4 bytes


def write_recording(path: Path, stated: float) -> None:
    """Write `FRAMES` frames, 4 seconds, as a .webm that states another rate than its timestamps have."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), RATE, (64, 48))
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), 4 * index, np.uint8))
    writer.release()
    truth, lie = (DEFAULT_DURATION + round(1e9 / rate).to_bytes(4, "big") for rate in (RATE, stated))
    content = path.read_bytes()
    assert content.count(truth) == 1
    path.write_bytes(content.replace(truth, lie))
