"""The inputs that the user named: images, folders, patterns, videos, a camera, standard input."""

from __future__ import annotations

import dataclasses
import glob
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.errors import ConfigError, FerError, InputError
from fer_engine.vision.still.file import HEADER
from fer_engine.vision.video.animation import open_animation
from fer_engine.vision.video.container import ByteSource
from fer_engine.vision.video.frame import Frame
from fer_engine.vision.video.source import Pipe, frames, is_video, starts_as_image
from fer_engine.vision.video.stream import is_live, is_url, shown_url

STANDARD_INPUT = "-"
# The files that a folder is searched for, beside those without a suffix. What a file is its content says.
IMAGES = {
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jp2", ".jpe", ".jpeg"),
    *(".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}
VIDEOS = {
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m1v", ".m2ts", ".m2v", ".m4v"),
    *(".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt"),
    *(".ts", ".vob", ".webm", ".wmv"),
}

Report = Callable[[FerError], None]


@dataclass(frozen=True, slots=True)
class Input:
    """One image, video, stream or camera.

    `name` is its name in the results: the path of a file. `source` is a file, the URL of a stream, the index
    of a camera, or standard input, whose image is bytes. `place` is the path of its annotated copy in the
    output folder: the file's name, below the names of the subfolders in which it was found. `is_video` tells
    whether it may have more than one frame.
    """

    name: str
    source: Path | str | int | bytes | ByteSource
    place: Path
    is_video: bool

    @property
    def is_live(self) -> bool:
        """Whether it never ends, as a camera."""
        return isinstance(self.source, int) or (isinstance(self.source, str) and is_live(self.source))


def find_inputs(arguments: Sequence[str], report: Report, skip: Path | None = None) -> tuple[Input, ...]:
    """Return the inputs that the command's arguments name, in order and without repetitions.

    A folder stands for the images and videos in it and its subfolders, sorted, without hidden ones. The
    folder `skip`, which may hold earlier results, is left out. Links to folders are followed, each folder
    once. Patterns are expanded, because some shells do not. An argument that names no input is passed to
    `report` as an error.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        try:
            entries = _expand(argument, report, skip)
        except FerError as error:
            report(error)
            continue
        except OSError as error:  # a folder that may not be entered, a name that is too long
            report(
                InputError(
                    f"cannot reach {argument[:200]}: {error.strerror}; check the path and its permissions"
                )
            )
            continue
        for entry in entries:
            found.setdefault(entry.name, entry)
    return tuple(found.values())


def _expand(argument: str, report: Report, skip: Path | None) -> list[Input]:
    if not argument:  # Path("") would be the current folder
        raise InputError("an input is an empty text: give an image, a video, a folder or -")
    path = Path(argument)
    if argument == STANDARD_INPUT:
        return [_standard_input()]
    if is_url(argument):
        name = shown_url(argument)
        return [Input(name, argument, Path(re.sub(r"[^\w.-]+", "-", name).strip("-")), is_video=True)]
    if path.is_dir():
        return _search_folder(path, report, skip)
    if path.exists():
        return [_file(path)]
    if argument.isdecimal():
        return [Input(f"camera {argument}", int(argument), Path(f"camera-{argument}"), is_video=True)]
    if glob.has_magic(argument):
        # Path.glob takes no absolute pattern.
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
        files = [_file(path) for path in map(Path, matches) if path.is_file()]
        if files:
            return files
        raise InputError(f"no file matches {argument}: check the pattern, or name a folder")
    raise InputError(
        f"{argument} does not exist: give an image, a video, a folder, a pattern, a URL, a camera's number "
        "or -"
    )


def _file(path: Path, place: Path | None = None) -> Input:
    return Input(str(path), path, place or Path(path.name), is_video=_is_video(path))


def _is_video(path: Path) -> bool:
    """Whether a file is a video, by its content; by its suffix where that cannot be read, or not yet."""
    by_name = path.suffix.lower() in VIDEOS
    if _is_special(path):
        return by_name
    try:
        return is_video(path) or by_name
    except FerError:  # reported when it is read
        return by_name


def _search_folder(folder: Path, report: Report, skip: Path | None) -> list[Input]:
    unreadable = []

    def report_folder(error: OSError) -> None:
        unreadable.append(error.filename)
        report(InputError(f"cannot search {error.filename}: {error.strerror}; what it holds is left out"))

    found: list[Input] = []
    seen = set() if skip is None else {os.path.realpath(skip)}
    for name, subfolders, files in os.walk(folder, onerror=report_folder, followlinks=True):
        parent, identity = Path(name), os.path.realpath(name)
        subfolders[:] = sorted(entry for entry in subfolders if not entry.startswith("."))
        if identity in seen:  # a link may lead back to a folder above it
            subfolders.clear()
            continue
        seen.add(identity)
        for path in (parent / file for file in sorted(files) if _is_wanted(parent / file)):
            if _is_special(path):
                report(InputError(f"{path} is a pipe or a device, which may never end: name it to read it"))
                continue
            found.append(_file(path, path.relative_to(folder)))
    if not found and not unreadable:
        raise InputError(
            f"{folder} holds no image or video: their names have no suffix, or end in "
            f"{' '.join(sorted(IMAGES | VIDEOS))}"
        )
    return found


def _is_wanted(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.suffix or _is_special(path):
        return path.suffix.lower() in IMAGES | VIDEOS
    try:
        with path.open("rb") as file:
            return starts_as_image(file.read(HEADER)) or is_video(path)
    except (OSError, FerError):  # no need to tell of a file that may be anything
        return False


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # reported when it is read
        return False


def read_frames(
    inputs: Sequence[Input], report: Report, done: Callable[[], object], max_pixels: int
) -> Iterator[Frame]:
    """Yield the frames of all inputs, one after another.

    An input that cannot be read, or has more than `max_pixels`, is reported and left out, and so is the rest
    of a video that is cut short. `done` is called at the end of each input, whether it failed or not.
    """
    for entry in inputs:
        try:
            yield from _frames(entry, max_pixels)
        except FerError as error:
            report(error)
        done()


def _frames(entry: Input, max_pixels: int) -> Iterator[Frame]:
    source = io.BytesIO(entry.source) if isinstance(entry.source, bytes) else entry.source
    for frame in frames(source, max_pixels):
        yield dataclasses.replace(frame, source=entry.name)


def _standard_input() -> Input:
    """Look at the first bytes of standard input, and read it whole if it is an image.

    That happens here and not in a thread, because Ctrl-C would not end the thread.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError(
            "standard input is a terminal: send it an image or a video, as in 'fer-predict - < photo.jpg'"
        )
    raw = io.FileIO(sys.stdin.fileno(), closefd=False)
    file: Any = raw if raw.seekable() else Pipe(raw)
    header = file.header if isinstance(file, Pipe) else _peek(file)
    place = Path("standard-input")
    if header and not starts_as_image(header):
        return Input(STANDARD_INPUT, file, place, is_video=True)
    content = file.read()
    return Input(STANDARD_INPUT, content, place, is_video=open_animation(io.BytesIO(content)) is not None)


def _peek(file: Any) -> Any:
    header = file.read(HEADER)
    file.seek(0)
    return header
