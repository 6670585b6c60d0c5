"""A picture with its place in a video or a list of files, and what was found in it."""

from __future__ import annotations

from dataclasses import dataclass

from fer_engine.vision.face import Face, Picture


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture, uint8 [height, width, 3] in BGR, of the file or camera `source`.

    `index` counts the source's frames from 0 and `time_ms` says when it stands in them, in milliseconds:
    both are 0 for a still picture.
    """

    source: str
    index: int
    time_ms: float
    picture: Picture


@dataclass(frozen=True, slots=True)
class Analysis:
    """A frame and its faces, from left to right."""

    frame: Frame
    faces: tuple[Face, ...]
