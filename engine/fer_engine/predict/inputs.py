"""What the user named: images, folders, patterns, videos, a camera, standard input."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_engine.errors import ConfigError, FerError, ImageError, InputError
from fer_engine.vision.video.frame import Frame

STANDARD_INPUT = "-"
# What a folder is searched for, and how a video is told from an image; what an image really is, its
# content decides.
IMAGES = {
    *(".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
    *(".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}
VIDEOS = {
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".ogv", ".ts", ".webm", ".wmv"),
}

Report = Callable[[FerError], None]


@dataclass(frozen=True, slots=True)
class Input:
    """One image, video or camera.

    `name` is what results call it: for a file its path. `source` is a file, the index
    of a camera, or the bytes of standard input. `place` is where its annotated copy goes in a folder for
    many: the file's name, below those of the folders in which it was found.
    """

    name: str
    source: Path | int | bytes
    place: Path

    @property
    def is_video(self) -> bool:
        """Whether it has more than one frame."""
        return self.is_camera or (isinstance(self.source, Path) and self.source.suffix.lower() in VIDEOS)

    @property
    def is_camera(self) -> bool:
        return isinstance(self.source, int)


def find(arguments: Sequence[str], report: Report, outside: Path | None = None) -> tuple[Input, ...]:
    """Return what the arguments stand for, in order, each name once.

    A folder stands for the images and videos in it and below it, sorted, but not for what is hidden or
    lies below `outside`, where earlier results may be. Links to folders are followed, each folder once. A
    pattern is expanded here too, for shells that do not. `report` is told of each argument that stands for
    nothing.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        try:
            entries = _expand(argument, report, outside)
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


def _expand(argument: str, report: Report, outside: Path | None) -> list[Input]:
    if not argument:  # which Path takes for the current folder
        raise InputError("an input is an empty text: give an image, a video, a folder or -")
    path = Path(argument)
    if argument == STANDARD_INPUT:
        # Here and not in a thread, which Ctrl-C would not end.
        return [Input(argument, _standard_input(), Path("standard-input"))]
    if path.is_dir():
        return _below(path, report, outside)
    if path.exists():
        return [_file(path)]
    if argument.isdecimal():
        return [Input(f"camera {argument}", int(argument), Path(f"camera-{argument}"))]
    if glob.has_magic(argument):
        # Not Path.glob, which takes no absolute pattern.
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
        files = [_file(path) for path in map(Path, matches) if path.is_file()]
        if files:
            return files
        raise InputError(f"no file matches {argument}: check the pattern, or name a folder")
    raise InputError(
        f"{argument} is not there: give an image, a video, a folder, a pattern, a camera's number, or -"
    )


def _file(path: Path) -> Input:
    return Input(str(path), path, Path(path.name))


def _below(folder: Path, report: Report, outside: Path | None) -> list[Input]:
    closed = []

    def unreadable(error: OSError) -> None:
        closed.append(error.filename)
        report(InputError(f"cannot search {error.filename}: {error.strerror}; what it holds is left out"))

    found: list[Input] = []
    seen = set() if outside is None else {os.path.realpath(outside)}
    for name, below, files in os.walk(folder, onerror=unreadable, followlinks=True):
        parent, identity = Path(name), os.path.realpath(name)
        below[:] = sorted(entry for entry in below if not entry.startswith("."))
        if identity in seen:  # a link may lead back to where it is
            below.clear()
            continue
        seen.add(identity)
        for path in (parent / file for file in sorted(files) if _is_wanted(file)):
            if _is_special(path):
                report(InputError(f"{path} is a pipe or a device, which may give no end: name it to read it"))
                continue
            found.append(Input(str(path), path, path.relative_to(folder)))
    if not found and not closed:
        raise InputError(
            f"{folder} holds no image or video: their names end in {' '.join(sorted(IMAGES | VIDEOS))}"
        )
    return found


def _is_wanted(file: str) -> bool:
    return Path(file).suffix.lower() in IMAGES | VIDEOS and not file.startswith(".")


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # what is wrong with it, reading it will tell
        return False


def frames(
    inputs: Sequence[Input], report: Report, done: Callable[[], object], max_pixels: int
) -> Iterator[Frame]:
    """Read all inputs, one after another.

    What cannot be read, or has more than `max_pixels`, is reported and left out, and so is the rest of a
    video that breaks; `done` is called at the end of each input, come to well or not.
    """
    for entry in inputs:
        try:
            yield from _frames(entry, max_pixels)
        except FerError as error:
            report(error)
        done()


def _frames(entry: Input, max_pixels: int) -> Iterator[Frame]:
    from fer_engine.vision.image import read_image
    from fer_engine.vision.video.source import frames as read_video

    if isinstance(entry.source, bytes):
        try:
            image = read_image(entry.source, "standard input", max_pixels)
        except ImageError as error:
            hint = " (a video is read from a file alone)" if entry.source else ""
            raise ImageError(f"{error}{hint}") from error
        yield Frame(entry.name, 0, 0.0, image)
    elif isinstance(entry.source, Path) and not entry.is_video:
        yield Frame(entry.name, 0, 0.0, read_image(entry.source, max_pixels=max_pixels))
    else:
        yield from read_video(entry.source, max_pixels)


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError("standard input is a terminal: send it an image, as in 'fer-predict - < photo.jpg'")
    pieces = []
    while piece := os.read(sys.stdin.fileno(), 2**16):  # Ctrl-C is seen between the pieces
        pieces.append(piece)
    return b"".join(pieces)
