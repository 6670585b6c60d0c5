"""The inputs that the user named: images, folders, patterns, videos, a camera, standard input."""

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
# The files that a folder is searched for. The suffix says whether a file is a video; the format of an image
# is recognized by its content.
IMAGES = {
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}
VIDEOS = {
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".ogv", ".ts", ".webm", ".wmv"),
}

Report = Callable[[FerError], None]


@dataclass(frozen=True, slots=True)
class Input:
    """One image, video or camera.

    `name` is its name in the results: the path of a file. `source` is a file, the index of a camera, or the
    bytes of standard input. `place` is the path of its annotated copy in the output folder: the file's name,
    below the names of the subfolders in which it was found.
    """

    name: str
    source: Path | int | bytes
    place: Path

    @property
    def is_video(self) -> bool:
        """Whether it may have more than one frame."""
        return self.is_camera or (isinstance(self.source, Path) and self.source.suffix.lower() in VIDEOS)

    @property
    def is_camera(self) -> bool:
        return isinstance(self.source, int)


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
        # Read here and not in a thread, because Ctrl-C would not end the thread.
        return [Input(argument, _standard_input(), Path("standard-input"))]
    if path.is_dir():
        return _search_folder(path, report, skip)
    if path.exists():
        return [_file(path)]
    if argument.isdecimal():
        return [Input(f"camera {argument}", int(argument), Path(f"camera-{argument}"))]
    if glob.has_magic(argument):
        # Path.glob takes no absolute pattern.
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
        files = [_file(path) for path in map(Path, matches) if path.is_file()]
        if files:
            return files
        raise InputError(f"no file matches {argument}: check the pattern, or name a folder")
    raise InputError(
        f"{argument} does not exist: give an image, a video, a folder, a pattern, a camera's number, or -"
    )


def _file(path: Path) -> Input:
    return Input(str(path), path, Path(path.name))


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
        for path in (parent / file for file in sorted(files) if _is_wanted(file)):
            if _is_special(path):
                report(InputError(f"{path} is a pipe or a device, which may never end: name it to read it"))
                continue
            found.append(Input(str(path), path, path.relative_to(folder)))
    if not found and not unreadable:
        raise InputError(
            f"{folder} holds no image or video: their names end in {' '.join(sorted(IMAGES | VIDEOS))}"
        )
    return found


def _is_wanted(file: str) -> bool:
    return Path(file).suffix.lower() in IMAGES | VIDEOS and not file.startswith(".")


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
    from fer_engine.vision.image import read_image
    from fer_engine.vision.video.source import frames

    if isinstance(entry.source, bytes):
        try:
            image = read_image(entry.source, "standard input", max_pixels)
        except ImageError as error:
            hint = " (a video can only be read from a file)" if entry.source else ""
            raise ImageError(f"{error}{hint}") from error
        yield Frame(entry.name, 0, 0.0, image)
    elif isinstance(entry.source, Path) and not entry.is_video:
        yield Frame(entry.name, 0, 0.0, read_image(entry.source, max_pixels=max_pixels))
    else:
        yield from frames(entry.source, max_pixels)


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError("standard input is a terminal: send it an image, as in 'fer-predict - < photo.jpg'")
    pieces = []
    while piece := os.read(sys.stdin.fileno(), 2**16):  # in pieces, so that Ctrl-C is seen in between
        pieces.append(piece)
    return b"".join(pieces)
