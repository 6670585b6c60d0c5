"""Annotated copies of images and videos: their paths, and writing them frame by frame."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine.artifact import files
from fer_engine.errors import ConfigError, FerError
from fer_engine.predict.inputs import IMAGES, VIDEOS, Input, Report
from fer_engine.predict.still_copy import IMAGE_SUFFIXES, encode_copy
from fer_engine.vision.video.writer import ENCODERS, VideoWriter, video_suffixes

if TYPE_CHECKING:
    from fer_engine.vision.image import Image
    from fer_engine.vision.video.frame import Frame

LONGEST_NAME = 255  # bytes, in the usual file systems
CAMERA_RATE = 30.0  # frames a second; a camera does not state its rate
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def plan_outputs(inputs: Sequence[Input], output: Path) -> dict[str, Path]:
    """Return the path of each input's annotated copy, by the input's name.

    With one input and a suffix, `output` is the file itself; else it is a folder. In a folder, files that
    would have the same name are numbered.

    Raises:
        ConfigError: `output` is a file where a folder is needed, or has the suffix of another format.
    """
    try:
        is_folder, is_there = output.is_dir(), output.exists()
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror}; give another --output") from None
    if len(inputs) == 1 and output.suffix and not is_folder:
        suffixes = _suffixes(inputs[0])
        if output.suffix.lower() not in suffixes:
            kind = "a video" if inputs[0].is_video else "an image"
            raise ConfigError(f"{output}: {kind} is written as {', '.join(suffixes)}, or into a folder")
        return {inputs[0].name: output}
    names_a_file = output.suffix.lower() in (*IMAGE_SUFFIXES, *ENCODERS)
    if not is_folder and (is_there or names_a_file):
        raise ConfigError(f"{output} is a file, and there are {len(inputs)} inputs: give a folder")
    taken: set[str] = set()  # case-folded, because many file systems ignore the case
    planned = {}
    for entry in inputs:
        number = 1
        while str(target := output / _written_as(entry, number)).casefold() in taken:
            number += 1
        taken.add(str(target).casefold())
        planned[entry.name] = target
    return planned


def _written_as(entry: Input, number: int) -> Path:
    """Return the copy's path in the output folder, with a suffix that can be written.

    A number above 1 is added to the name, which is cut where a file system would refuse it.
    """
    place, suffixes = entry.place, _suffixes(entry)
    # What follows a dot is no suffix in "Dr. No" or in the address of a camera.
    stem, suffix = (place.stem, place.suffix) if place.suffix.lower() in IMAGES | VIDEOS else (place.name, "")
    end = suffix if suffix.lower() in suffixes else suffixes[0]
    end = f"-{number}{end}" if number > 1 else end
    while len(os.fsencode(stem + end)) > LONGEST_NAME:
        stem = stem[:-1]
    return place.with_name(stem + end)


def _suffixes(entry: Input) -> tuple[str, ...]:
    """Return the suffixes that a copy may have; the first one replaces any other suffix."""
    return video_suffixes() if entry.is_video else IMAGE_SUFFIXES


def check_outputs(inputs: Iterable[Input], targets: Iterable[Path]) -> None:
    """Make sure that no output replaces an input or another output, under any name or link.

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
    """Return a value that is the same for all names of one file."""
    try:
        status = path.stat()
    except OSError:  # it does not exist yet
        return Path(os.path.realpath(path))  # resolve() would fail on links in a circle
    return status.st_dev, status.st_ino


class AnnotatedCopies:
    """Writes annotated frames to the files that `plan_outputs` returned for their sources.

    An image's file exists as soon as it is written; a video's file exists after its last frame, or after
    `close` with the frames up to there. A copy that fails is passed to `report`, and the others go on.
    """

    def __init__(self, inputs: Sequence[Input], planned: Mapping[str, Path], report: Report) -> None:
        self._inputs = {entry.name: entry for entry in inputs}
        self._planned = planned
        self._report = report
        self._source = ""
        self._failed = False
        self._video: VideoWriter | None = None

    def write(self, frame: Frame, annotated: Image) -> None:
        """Write the annotated image of a frame, uint8 [height, width, 3] in BGR.

        The frames of one source must follow one another.

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
            self._report_or_raise(error)
            self.close()  # keeps the frames of a video up to here

    def _write(self, frame: Frame, annotated: Image) -> None:
        entry, path = self._inputs[frame.source], self._planned[frame.source]
        if isinstance(entry.source, Path | bytes) and not entry.is_video:
            content = encode_copy(entry.source, frame.source, frame.image, annotated, path)
            files.write_bytes(path, content)
            return
        if self._video is None:
            sound = entry.source if isinstance(entry.source, Path) else None
            self._video = VideoWriter(path, _rate(entry, frame.image), sound)
        self._video.write(annotated, frame.time_ms)

    def _report_or_raise(self, error: FerError) -> None:
        """Report an error that concerns one copy; raise one that concerns all."""
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_FULL:
            raise error
        self._report(error)

    def close(self) -> None:
        """Finish the current video, if any.

        Raises:
            FerError: the disk is full.
        """
        video, self._video = self._video, None
        try:
            if video is not None:
                video.close()
        except FerError as error:
            self._report_or_raise(error)


def _rate(entry: Input, first: Image) -> float:
    from fer_engine.vision.video.source import frame_rate

    if not isinstance(entry.source, Path):
        return CAMERA_RATE
    # The first frame passed the limit already.
    return frame_rate(entry.source, max_pixels=first.shape[0] * first.shape[1])
