"""Reads the frames of animated images, GIF, WebP, PNG and AVIF, through Pillow."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import IO, Any

import numpy as np

from fer_engine.errors import FerError, first_line
from fer_engine.vision.library import opencv, pillow
from fer_engine.vision.video.frame import Frame, check_frame_size

FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
# Browsers show frames that state 10 ms or less for 100 ms: such files were made when computers were slow.
SHORTEST_MS, USUAL_MS = 10, 100


def open_animation(file: IO[bytes]) -> Any:
    """Return the animated image in a seekable file, a PIL image; None where there is none."""
    file.seek(0)
    with contextlib.suppress(Exception):  # on damaged bytes, Pillow raises exceptions of any type
        opened = pillow().open(file, formats=FORMATS)
        if getattr(opened, "is_animated", False):
            return opened
    file.seek(0)
    return None


def animation_frames(opened: Any, name: str, max_pixels: int) -> Generator[Frame, None, None]:
    """Yield the frames of an animated image; transparent ones are laid on white.

    Raises:
        FerError: it is larger than `max_pixels`, or cut short (after its frames up to there).
    """
    check_frame_size(name, opened.size, max_pixels)
    first = int(getattr(opened, "default_image", False))  # of a PNG: what is shown by who cannot animate it
    time_ms = 0.0
    for index, number in enumerate(range(first, opened.n_frames)):
        try:
            opened.seek(number)
            opened.load()
            image = _on_white(opened)
        except Exception as error:
            raise FerError(
                f"{name} breaks off at frame {index} of {opened.n_frames - first} ({first_line(error)}): "
                "what was decoded up to there is done; get the file again for the rest"
            ) from error
        yield Frame(name, index, time_ms, image)
        time_ms += _duration(opened)


def animation_rate(opened: Any) -> float:
    """Return the mean number of frames a second."""
    total = 0.0
    for number in range(opened.n_frames):
        opened.seek(number)
        opened.load()
        total += _duration(opened)
    return 1000 * float(opened.n_frames) / total


def _duration(opened: Any) -> float:
    stated = float(opened.info.get("duration") or 0)
    return stated if stated > SHORTEST_MS else USUAL_MS


def _on_white(opened: Any) -> Any:
    cv2 = opencv()
    image = opened.convert("RGBA")
    white = pillow().new("RGBA", image.size, "white")
    return cv2.cvtColor(np.asarray(pillow().alpha_composite(white, image)), cv2.COLOR_RGBA2BGR)
