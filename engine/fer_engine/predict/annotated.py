"""Annotated copies of images and videos: where each goes, and writing them as frames come."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine.artifact import files
from fer_engine.errors import ConfigError, FerError
from fer_engine.predict.inputs import Input, Report
from fer_engine.vision.video.writer import CODECS, VideoWriter

if TYPE_CHECKING:
    from fer_engine.vision.image import Image
    from fer_engine.vision.video.frame import Frame

# In which colour images are written on every system; others become PNG, which loses nothing.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".tif", ".tiff")
CAMERA_RATE = 30.0  # frames a second; a camera does not tell how many it gives
LONGEST_PAUSE = 60  # seconds for which a copy repeats one frame: a gap in the timestamps may be of any length
FULL = {errno.ENOSPC, errno.EDQUOT}


def plan(inputs: Sequence[Input], output: Path) -> dict[str, Path]:
    """Return the annotated copy of each input by its name: `output` itself, or a file below it.

    `output` is a file where there is one input and it has a suffix, else a folder. Names that would meet
    there are numbered.

    Raises:
        ConfigError: `output` is or names a file but should be a folder, or has a suffix that is not written.
    """
    try:
        is_folder, is_there = output.is_dir(), output.exists()
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror}; give another --output") from None
    if len(inputs) == 1 and output.suffix and not is_folder:
        _check_suffix(inputs[0], output)
        return {inputs[0].name: output}
    names_a_file = output.suffix.lower() in (*IMAGE_SUFFIXES, *CODECS)
    if not is_folder and (is_there or names_a_file):
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
        kind = "a video" if entry.is_video else "an image"
        raise ConfigError(f"{output}: {kind} is written as {', '.join(suffixes)}, or into a folder")


def _suffixes(entry: Input) -> tuple[str, ...]:
    """Return those that its copy may have, the one for an input of any other kind first."""
    return tuple(CODECS) if entry.is_video else IMAGE_SUFFIXES


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
        return Path(os.path.realpath(path))  # unlike resolve(), of links in a circle too
    return status.st_dev, status.st_ino


class Copies:
    """Writes annotated frames to the files planned for their sources.

    An image is there as soon as it is written, a video once its last frame is, or what there is of it
    on `close`. A copy that fails is told to `report`, and the others go on.
    """

    def __init__(self, inputs: Sequence[Input], planned: Mapping[str, Path], report: Report) -> None:
        self._inputs = {entry.name: entry for entry in inputs}
        self._planned = planned
        self._report = report
        self._source = ""
        self._failed = False
        self._video: VideoWriter | None = None
        self._rate = CAMERA_RATE
        self._count = 0
        self._start_ms = 0.0

    def write(self, frame: Frame, annotated: Image) -> None:
        """Write one frame's image; those of one source come one after another.

        Raises:
            FerError: the disk is full.
        """
        if frame.source != self._source:
            self.close()
            self._source, self._failed = frame.source, False
        if self._failed:
            return
        try:
            self._write(frame, annotated)
        except FerError as error:
            self._failed = True
            self._tell(error)
            self.close()  # what there is of a video

    def _write(self, frame: Frame, annotated: Image) -> None:
        entry, path = self._inputs[frame.source], self._planned[frame.source]
        if not entry.is_video:
            files.write_bytes(path, _encoded(annotated, path))
            return
        if self._video is None:
            self._rate = _rate(entry, frame.image)
            self._video = VideoWriter(path, self._rate)
            self._count, self._start_ms = 0, frame.time_ms
        self._shorten(frame)
        for _ in range(self._times(frame)):
            self._video.write(annotated)
            self._count += 1

    def _shorten(self, frame: Frame) -> None:
        """Take what a pause has beyond the longest one out of the copy's time."""
        pause = (frame.time_ms - self._start_ms) / 1000 - self._count / self._rate
        if pause > LONGEST_PAUSE:
            self._start_ms += (pause - LONGEST_PAUSE) * 1000
            path = self._planned[frame.source]
            self._report(
                FerError(
                    f"{frame.source} pauses {pause:.0f} s before frame {frame.index}: in {path} it is "
                    f"{LONGEST_PAUSE} s; cut the recording there for a copy in true time"
                )
            )

    def _times(self, frame: Frame) -> int:
        """Return how often to write a frame: as often as makes time run true, which for most is once."""
        return round((frame.time_ms - self._start_ms) / 1000 * self._rate) + 1 - self._count

    def _tell(self, error: FerError) -> None:
        """Report an error that concerns one copy; raise one that concerns all."""
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
            raise error
        self._report(error)

    def close(self) -> None:
        """Finish the video under way, if any.

        Raises:
            FerError: the disk is full.
        """
        video, self._video = self._video, None
        try:
            if video is not None:
                video.close()
        except FerError as error:
            self._tell(error)


def _rate(entry: Input, first: Image) -> float:
    from fer_engine.vision.video.source import frame_rate

    if not isinstance(entry.source, Path):
        return CAMERA_RATE
    # Whoever read the first frame allowed as many pixels.
    return frame_rate(entry.source, max_pixels=first.shape[0] * first.shape[1])


def _encoded(image: Image, path: Path) -> bytes:
    import cv2

    advice = "name it .png with --output"
    try:
        done, content = cv2.imencode(path.suffix, image)
    except cv2.error as error:
        raise FerError(f"cannot encode {path}: {error.err}; {advice}") from error
    if not done:
        height, width = image.shape[:2]
        raise FerError(f"cannot encode {path}: {width}x{height} is more than its format holds; {advice}")
    return content.tobytes()
