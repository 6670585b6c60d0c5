"""The results as lines of text, JSON or CSV, written as soon as a frame is done."""

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
from fer_engine.vision.face import UNCERTAIN
from fer_engine.vision.video.frame import Analysis, Frame

STANDARD_OUTPUT = "-"
COLUMNS = ("file", "frame", "time_ms", "track", "left", "top", "width", "height", "score", "label")

Format = Callable[[Analysis, Sequence[str]], str]


def json_lines(analysis: Analysis, labels: Sequence[str]) -> str:
    """Return one line of JSON for each face."""
    place = _place(analysis.frame)
    return "".join(json.dumps({**place, **face.as_json(labels)}) + "\n" for face in analysis.faces)


def csv_lines(analysis: Analysis, labels: Sequence[str]) -> str:
    """Return one line of CSV for each face, with the columns of `csv_header`."""
    place = _place(analysis.frame).values()
    rows = []
    for face in analysis.faces:
        shares = face.as_json(labels)["probabilities"].values()
        track = "" if face.track is None else face.track
        score = "" if face.score is None else round(face.score, 4)
        rows.append([*place, track, *face.box, score, face.label, *shares])
    return _csv(rows)


def csv_header(labels: Sequence[str]) -> str:
    """Return the header of a CSV file: `COLUMNS`, then the label of each probability."""
    return _csv([[*COLUMNS, *labels]])


def text_lines(analysis: Analysis, labels: Sequence[str]) -> str:
    """Return a readable line for each face, or one line that says that there is no face.

    A face that is uncertain also has its likeliest label.
    """
    frame = analysis.frame
    name = printable(frame.source)
    where = name if frame.time_ms == 0 else f"{name} at {frame.time_ms / 1000:.3f} s"
    lines = []
    for face in analysis.faces:
        left, top, width, height = face.box
        who = "" if face.track is None else f"face {face.track} "
        likeliest = int(face.probabilities.argmax())
        label = face.label if face.label != UNCERTAIN else f"{UNCERTAIN}, {labels[likeliest]}"
        share = float(face.probabilities[likeliest])
        sure = "" if face.score is None else f", score {face.score:.2f}"
        lines.append(f"{where}: {who}{label} {share:.2f}, {width}x{height} at {left},{top}{sure}\n")
    return "".join(lines) or f"{where}: no face\n"


def printable(text: str) -> str:
    """Escape what a terminal should not get: file names may contain line breaks and control codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _place(frame: Frame) -> dict[str, str | int | float]:
    return {"file": frame.source, "frame": frame.index, "time_ms": round(frame.time_ms, 3)}


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class LineWriter:
    """Writes whole lines to a file, or to standard output if `target` is "-".

    Nothing is buffered, so an interruption loses no line. A missing folder is created.

    Raises:
        FerError: the file cannot be written; the lines before the failure are kept.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._size = 0
        self._file: io.FileIO | None = None
        if target == STANDARD_OUTPUT:
            if sys.stdout is None:  # the descriptor is closed
                raise FerError("cannot write standard output: it is closed; name a file with --json or --csv")
        else:
            try:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                self._file = io.FileIO(target, "w")
            except OSError as error:
                raise self._failed(error) from error

    def write(self, lines: str) -> None:
        """Append lines, each with its line break."""
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
            with contextlib.suppress(OSError):  # a pipe or device cannot be truncated
                file.truncate(self._size)  # removes the incomplete line
            raise
        self._size += len(content)

    def _failed(self, error: OSError) -> FerError:
        name = "standard output" if self._target == STANDARD_OUTPUT else self._target
        has_reader = not isinstance(error, BrokenPipeError)
        advice = (
            "free the space, or name another file" if has_reader else "the program that read it has ended"
        )
        return FerError(
            f"cannot write {name}: {error.strerror or error}; the lines up to here are kept: {advice}"
        )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file is not None:
            self._file.close()


def _print(lines: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    # Characters that the terminal's encoding lacks are escaped.
    sys.stdout.write(lines.encode(encoding, "backslashreplace").decode(encoding))
    try:
        sys.stdout.flush()
    except OSError:
        # Else the rest of the buffer would fail again when the process ends, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
