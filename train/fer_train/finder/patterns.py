"""Patterns without faces that photographs seldom show enough of: noise, pages of text, gratings, shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.library import opencv

cv2 = opencv()

Gray = NDArray[np.float32]
PRINTABLE = (33, 123)  # character codes that OpenCV's fonts have


def noise(rng: np.random.Generator, height: int, width: int) -> Gray:
    """Return noise of standard deviation of about 1: fine, in streaks, or in blotches."""
    kind = rng.integers(3)
    rows, columns = height, width
    if kind == 1:
        rows = max(2, height // int(rng.integers(2, 12)))
    elif kind == 2:
        rows, columns = (max(2, length // int(rng.integers(4, 16))) for length in (height, width))
    drawn = rng.normal(size=(rows, columns)).astype(np.float32)
    return cv2.resize(
        drawn, (width, height), interpolation=cv2.INTER_CUBIC if kind == 2 else cv2.INTER_LINEAR
    )


def pattern(rng: np.random.Generator, side: int) -> Gray:
    """Return one of the patterns, float32 [side, side], 0 to 255."""
    image = np.full((side, side), rng.uniform(0, 255), np.float32)
    kind = rng.integers(5)
    if kind == 0:
        _add_clouds(rng, image)
    elif kind == 1:
        _write_page(rng, image)
    elif kind == 2:
        for _ in range(1 + (rng.random() < 0.4)):
            _add_grating(rng, image)
    elif kind == 3:
        draw_shapes(rng, image, int(rng.integers(4, 40)))
    else:
        slopes = rng.normal(size=2) * 80
        across = np.linspace(-0.5, 0.5, side, dtype=np.float32)
        image += (
            slopes[0] * across + slopes[1] * across[:, None] + noise(rng, side, side) * rng.uniform(0, 15)
        )
    return np.clip(image, 0, 255).astype(np.float32)


def draw_shapes(rng: np.random.Generator, image: Gray, count: int) -> None:
    """Draw ellipses, rectangles, lines and polygons over an image."""
    side = len(image)
    for _ in range(count):
        colour, (x, y) = float(rng.uniform(0, 255)), (int(value) for value in rng.integers(0, side, 2))
        size = int(np.exp(rng.uniform(1, np.log(side / 1.5))))
        thickness = -1 if rng.random() < 0.7 else int(rng.integers(1, 6))
        kind = rng.integers(4)
        if kind == 0:
            axes = (size, max(1, int(size * rng.uniform(0.3, 1.3))))
            turned = float(rng.uniform(0, 180))
            cv2.ellipse(image, (x, y), axes, turned, 0, 360, colour, thickness, cv2.LINE_AA)
        elif kind == 1:
            corner = (x + size, y + int(size * rng.uniform(0.3, 2)))
            cv2.rectangle(image, (x, y), corner, colour, thickness)
        elif kind == 2:
            end = tuple(int(value) for value in rng.integers(0, side, 2))
            cv2.line(image, (x, y), end, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
        else:
            corners = np.array([x, y]) + rng.integers(-size, size + 1, (rng.integers(3, 6), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)


def _add_clouds(rng: np.random.Generator, image: Gray) -> None:
    side = len(image)
    for octave in range(1, 6):
        drawn = rng.normal(size=(2**octave + 1, 2**octave + 1)).astype(np.float32)
        blurred = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_CUBIC)
        image += blurred * rng.uniform(5, 40) / octave**0.5


def _write_page(rng: np.random.Generator, image: Gray) -> None:
    image[:] = rng.uniform(150, 255)
    font, size, ink = int(rng.integers(0, 6)), rng.uniform(0.25, 0.9), float(rng.uniform(0, 100))
    for line in range(int(rng.integers(8, 20)), len(image), int(rng.integers(8, 26))):
        text = "".join(chr(code) for code in rng.integers(*PRINTABLE, 30))
        start = (int(rng.integers(-20, 20)), line)
        cv2.putText(image, text, start, font, size, ink, int(rng.integers(1, 3)), cv2.LINE_AA)


def _add_grating(rng: np.random.Generator, image: Gray) -> None:
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 60)
    steps = np.arange(len(image), dtype=np.float32)
    phase = steps * np.cos(angle) + steps[:, None] * np.sin(angle)
    image += np.sin(phase * (2 * np.pi / period)) * rng.uniform(5, 80)
