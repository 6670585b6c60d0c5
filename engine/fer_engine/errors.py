"""The one family of errors that fer-engine raises on purpose."""

from __future__ import annotations


class FerError(Exception):
    """Base of all errors; commands print its text on standard error and exit with code 2.

    The text says what was wrong, what was got, what was expected and how to put it right.
    """


class ConfigError(FerError):
    """An option or argument has a value that is not accepted."""


class DataError(FerError):
    """A dataset cannot be read, or does not hold what it should."""


class CheckpointError(FerError):
    """A checkpoint is missing, damaged, or made for another network."""


class ArtifactError(FerError):
    """An artifact folder or a model file is missing, damaged, or of another version."""


class ExportError(FerError):
    """A graph could not be made, or failed its verification."""


class InputError(FerError):
    """Faces given to the engine have the wrong type, rank, size or count."""


class ImageError(FerError):
    """An image cannot be read: it is missing, damaged, too large, or of a format that is not known."""


class ImageSizeError(ImageError):
    """An image has more pixels than are allowed, `pixels`."""

    def __init__(self, text: str, pixels: int) -> None:
        super().__init__(text)
        self.pixels = pixels


class BackendError(FerError):
    """A backend, device or precision is unknown, unavailable, or failed."""


PictureError = ImageError  # the older name
PictureSizeError = ImageSizeError  # the older name


def first_line(error: BaseException, *, named: bool = False) -> str:
    """Return the first line of an error's text, behind the name of its type if `named`.

    For an error without a text that name is all. Texts of OpenVINO begin with places in its source: there it
    is the line that sums up, else the first that leads to no other.
    """
    name = type(error).__name__
    lines = str(error).strip().splitlines()
    text = next(iter(lines), "")
    if text.startswith("Exception from "):
        ends = [line for line in lines if line.strip() and not line.endswith(":")]
        text = next(
            (line.removeprefix("-- ") for line in ends if "Conversion is failed" in line), [*ends, text][0]
        )
    return (f"{name}: {text}" if named else text) if text else name


def last_lines(text: str) -> str:
    """Return the last three lines of what a process wrote on standard error, on one line; "" for none."""
    return " / ".join(text.strip().splitlines()[-3:])
