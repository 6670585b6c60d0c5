"""Annotated copies of pictures and videos: where each goes, and writing them as frames come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine import atomic
from fer_engine.errors import ConfigError, FerError
from fer_engine.predict.inputs import Input
from fer_engine.vision.writer import CODECS, VideoWriter

if TYPE_CHECKING:
    from fer_engine.vision.face import Picture
    from fer_engine.vision.frame import Frame

# In which colour pictures are written on every system; others become PNG, which loses nothing.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".tif", ".tiff")
CAMERA_RATE = 30.0  # frames a second; a camera does not tell how many it gives
HIGHEST_RATE = 240.0  # of cameras; browsers' recordings state 1000, the unit of their timestamps


def plan(inputs: Sequence[Input], output: Path) -> dict[str, Path]:
    """Return the annotated copy of each input by its name: `output` itself, or a file below it.

    `output` is a file where there is one input and it has a suffix, else a folder. Names that would meet
    there are numbered.

    Raises:
        ConfigError: `output` is or names a file but should be a folder, or has a suffix that is not written.
    """
    if len(inputs) == 1 and output.suffix and not output.is_dir():
        _check_suffix(inputs[0], output)
        return {inputs[0].name: output}
    names_a_file = output.suffix.lower() in (*PICTURE_SUFFIXES, *CODECS)
    if not output.is_dir() and (output.exists() or names_a_file):
        raise ConfigError(f"{output} is a file, and there are {len(inputs)} inputs: give a folder")
    taken: set[str] = set()  # in one case: many file systems make no difference
    planned = {}
    for entry in inputs:
        first = target = output / _written_as(entry)
        number = 2
        while str(target).casefold() in taken:
            target = first.with_stem(f"{first.stem}-{number}")
            number += 1
        taken.add(str(target).casefold())
        planned[entry.name] = target
    return planned


def _written_as(entry: Input) -> Path:
    """Return the input's place with a suffix that can be written."""
    suffixes = _suffixes(entry)
    return entry.place if entry.place.suffix.lower() in suffixes else entry.place.with_suffix(suffixes[0])


def _check_suffix(entry: Input, output: Path) -> None:
    suffixes = _suffixes(entry)
    if output.suffix.lower() not in suffixes:
        kind = "video" if entry.is_video else "picture"
        raise ConfigError(f"{output}: a {kind} is written as {', '.join(suffixes)}, or into a folder")


def _suffixes(entry: Input) -> tuple[str, ...]:
    """Return those that its copy may have, the one for an input of any other kind first."""
    return tuple(CODECS) if entry.is_video else PICTURE_SUFFIXES


def protect(inputs: Iterable[Input], targets: Iterable[Path]) -> None:
    """Refuse to write over what is read, whatever name or link it goes by, and to write a file twice.

    Raises:
        ConfigError: a target is an input, or the same as another target.
    """
    sources = {_identity(entry.source): entry.name for entry in inputs if isinstance(entry.source, Path)}
    seen = set()
    for target in targets:
        identity = _identity(target)
        if identity in sources:
            raise ConfigError(f"{target} would replace the input {sources[identity]}: give another name")
        if identity in seen:
            raise ConfigError(f"{target} would be written twice: give each output a name of its own")
        seen.add(identity)


def _identity(path: Path) -> tuple[int, int] | Path:
    """Return what two names of one file have in common."""
    try:
        status = path.stat()
    except OSError:  # it is not there yet
        return path.resolve()
    return status.st_dev, status.st_ino


class Copies:
    """Writes annotated frames to the files planned for their sources.

    A picture is there as soon as it is written, a video once its last frame is, or what there is of it
    on `close`.
    """

    def __init__(self, inputs: Sequence[Input], planned: Mapping[str, Path]) -> None:
        self._inputs = {entry.name: entry for entry in inputs}
        self._planned = planned
        self._video: VideoWriter | None = None
        self._source = ""
        self._count = 0
        self._by_time = False

    def write(self, frame: Frame, annotated: Picture) -> None:
        """Write one frame's picture; those of one source come one after another.

        Raises:
            FerError: the file cannot be written.
        """
        entry = self._inputs[frame.source]
        if frame.source != self._source:
            self.close()
            self._source, self._count = frame.source, 0
        if not entry.is_video:
            atomic.write_bytes(self._planned[frame.source], _encoded(annotated, self._planned[frame.source]))
            return
        if self._video is None:
            self._video = self._open(entry)
        for _ in range(self._times(frame)):
            self._video.write(annotated)
            self._count += 1

    def _open(self, entry: Input) -> VideoWriter:
        from fer_engine.vision.source import frame_rate

        rate = frame_rate(entry.source) if isinstance(entry.source, Path) else CAMERA_RATE
        self._by_time = entry.is_camera or rate > HIGHEST_RATE
        return VideoWriter(self._planned[entry.name], CAMERA_RATE if self._by_time else rate)

    def _times(self, frame: Frame) -> int:
        """Return how often to write a frame: without a known rate as often as makes time run true."""
        if not self._by_time:
            return 1
        return int(frame.time_ms / 1000 * CAMERA_RATE) + 1 - self._count

    def close(self) -> None:
        """Finish the video under way, if any.

        Raises:
            FerError: it cannot be written.
        """
        video, self._video = self._video, None
        if video is not None:
            video.close()


def _encoded(picture: Picture, path: Path) -> bytes:
    import cv2

    try:
        done, content = cv2.imencode(path.suffix, picture)
    except cv2.error as error:
        raise FerError(f"cannot encode {path}: {error.err}; give a name that ends in .png") from error
    if not done:
        raise FerError(f"cannot encode {path}: OpenCV gave no reason; give a name that ends in .png")
    return content.tobytes()
