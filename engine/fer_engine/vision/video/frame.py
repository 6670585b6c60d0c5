"""One image of a video or of a list of files, and what was found in it."""

from __future__ import annotations

from dataclasses import dataclass

from fer_engine.errors import FerError
from fer_engine.vision.face import Face
from fer_engine.vision.image import Image


@dataclass(frozen=True, slots=True)
class Frame:
    """An image, uint8 [height, width, 3] in BGR, of the file, stream or camera `source`.

    `index` counts the frames of the source from 0, and `time_ms` is the frame's time in milliseconds from
    the start of the source: both are 0 for a still image.
    """

    source: str
    index: int
    time_ms: float
    image: Image

    @property
    def picture(self) -> Image:
        """The older name of `image`."""
        return self.image


@dataclass(frozen=True, slots=True)
class Analysis:
    """A frame and its faces, from left to right."""

    frame: Frame
    faces: tuple[Face, ...]


def check_frame_size(source: str, size: tuple[int, int], max_pixels: int) -> None:
    """Raise FerError if the frames of a source, width and height, are larger than `max_pixels`."""
    width, height = size
    if (pixels := width * height) > max_pixels:
        raise FerError(
            f"{source} has frames of {width}x{height} = {pixels} pixels, expected at most {max_pixels}; "
            f"scale it down, or allow it with max_pixels={pixels} (of a command: --max-pixels {pixels})"
        )
