"""What was found, as lines of text, JSON or CSV, written as it comes."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fer_engine.errors import FerError
from fer_engine.vision.video.frame import Analysis, Frame

STANDARD_OUTPUT = "-"
COLUMNS = ("file", "frame", "time_ms", "track", "left", "top", "width", "height", "label")

Format = Callable[[Analysis, Sequence[str]], str]


def json_lines(analysis: Analysis, labels: Sequence[str]) -> str:
    """Return one line of JSON for each face."""
    place = _place(analysis.frame)
    return "".join(json.dumps({**place, **face.as_json(labels)}) + "\n" for face in analysis.faces)


def csv_lines(analysis: Analysis, labels: Sequence[str]) -> str:
    """Return one line for each face; its columns are those of `csv_header`."""
    place = _place(analysis.frame).values()
    rows = []
    for face in analysis.faces:
        shares = face.as_json(labels)["probabilities"].values()
        track = "" if face.track is None else face.track
        rows.append([*place, track, *face.box, face.label, *shares])
    return _csv(rows)


def csv_header(labels: Sequence[str]) -> str:
    """Return the first line of a CSV file: `COLUMNS`, then the probability of each label."""
    return _csv([[*COLUMNS, *labels]])


def text_lines(analysis: Analysis, labels: Sequence[str]) -> str:  # noqa: ARG001 - the formats share a form
    """Return a line to read for each face, or one that says that there is none."""
    frame = analysis.frame
    name = printable(frame.source)
    where = name if frame.time_ms == 0 else f"{name} at {frame.time_ms / 1000:.3f} s"
    lines = []
    for face in analysis.faces:
        left, top, width, height = face.box
        who = "" if face.track is None else f"face {face.track} "
        share = float(face.probabilities.max())
        lines.append(f"{where}: {who}{face.label} {share:.2f}, {width}x{height} at {left},{top}\n")
    return "".join(lines) or f"{where}: no face\n"


def printable(text: str) -> str:
    """Return a text in one line that is safe to show: file names may hold line breaks and terminal codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _place(frame: Frame) -> dict[str, str | int | float]:
    return {"file": frame.source, "frame": frame.index, "time_ms": round(frame.time_ms, 3)}


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class Lines:
    """A file, or standard output where `target` is "-", that grows by whole lines.

    What was written is there at once, so that an interruption loses nothing. The file's folder is made.

    Raises:
        FerError: it cannot be written; the lines before the failure are kept.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._size = 0
        self._file: io.FileIO | None = None
        if target == STANDARD_OUTPUT:
            if sys.stdout is None:  # as Python has it where the descriptor is closed
                raise FerError("cannot write standard output: it is closed; name a file with --json or --csv")
        else:
            try:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                self._file = io.FileIO(target, "w")
            except OSError as error:
                raise self._failed(error) from error

    def write(self, lines: str) -> None:
        """Add whole lines."""
        try:
            if self._file is None:
                _print(lines)
            else:
                self._append(self._file, lines.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise self._failed(error) from error

    def _append(self, file: io.FileIO, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):  # not every target is a file
                file.truncate(self._size)  # the part of a line that still found room
            raise
        self._size += len(content)

    def _failed(self, error: OSError) -> FerError:
        name = "standard output" if self._target == STANDARD_OUTPUT else self._target
        gone = isinstance(error, BrokenPipeError)
        advice = "what reads it has ended" if gone else "free the space, or name another file"
        return FerError(
            f"cannot write {name}: {error.strerror or error}; what was written before is kept: {advice}"
        )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file is not None:
            self._file.close()


def _print(lines: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    # A file name that the terminal cannot show is no reason to stop.
    sys.stdout.write(lines.encode(encoding, "backslashreplace").decode(encoding))
    try:
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer must not fail once more, with a traceback, when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
