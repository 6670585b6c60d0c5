"""Runs the pipeline over all inputs and writes the results to each output that was asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fer_engine.errors import ConfigError, FerError
from fer_engine.predict import results
from fer_engine.predict.annotated import AnnotatedCopies, check_outputs, plan_outputs
from fer_engine.predict.inputs import Input, read_frames
from fer_engine.predict.results import STANDARD_OUTPUT, Format, LineWriter
from fer_engine.predict.window import Window, check_display
from fer_engine.system import progress
from fer_engine.vision.image import MAX_PIXELS

if TYPE_CHECKING:
    from fer_engine.vision.video.frame import Analysis
    from fer_engine.vision.video.pipeline import Pipeline


@dataclass(slots=True)
class ErrorLog:
    """Prints errors of single inputs and outputs to standard error, and counts them."""

    count: int = 0

    def report(self, error: FerError) -> None:
        """Print and count an error."""
        self.count += 1
        print(f"error: {results.printable(str(error))}", file=sys.stderr)


NO_FACE = (
    "try a larger --detect-size for small faces, a lower --min-face-score for doubtful ones, or another "
    "--detector"
)


@dataclass(slots=True)
class Tally:
    """Counts frames, and the faces of each source."""

    frames: int = 0
    faces: Counter[str] = field(default_factory=Counter)

    def add(self, analysis: Analysis) -> None:
        """Count a frame."""
        self.frames += 1
        self.faces[analysis.frame.source] += len(analysis.faces)

    def summary(self, inputs: int, errors: int) -> str:
        """Return a summary; where a source has no face, a second line says what to try."""
        line = f"inputs: {inputs}, frames: {self.frames}, faces: {self.faces.total()}, errors: {errors}"
        without = sum(count == 0 for count in self.faces.values())
        return f"{line}\nno face in {without} of {inputs} inputs: {NO_FACE}" if without else line


@dataclass(frozen=True, slots=True)
class Job:
    """The inputs, and where the results go.

    `output` is the annotated copy or the folder of copies; `json` and `csv` are files or "-"; each is None if
    it is not wanted. Images of more than `max_pixels` are reported and left out. With `quiet` there is no
    progress bar.

    Raises:
        ConfigError: a result would replace an input or another result, a camera is not the only input, there
            is no display to show images on, or `max_pixels` is below 1.
    """

    found: Sequence[Input]
    output: Path | None = None
    json: str | None = None
    csv: str | None = None
    show: bool = False
    max_pixels: int = MAX_PIXELS
    quiet: bool = False
    planned: dict[str, Path] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.is_live and len(self.found) > 1:
            raise ConfigError("a camera or live stream never ends: it must be the only input")
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels must be at least 1, got {self.max_pixels}")
        if self.json is not None and self.json == self.csv:
            raise ConfigError(f"--json and --csv would both write {self.json}: give each a target of its own")
        if self.show:
            check_display()
        if self.output is not None:
            self.planned.update(plan_outputs(self.found, self.output))
        files = [Path(name) for name in (self.json, self.csv) if name not in (None, STANDARD_OUTPUT)]
        check_outputs(self.found, [*self.planned.values(), *files])

    @property
    def is_live(self) -> bool:
        """Whether a camera or a live stream is read."""
        return any(entry.is_live for entry in self.found)

    def run(self, pipeline: Pipeline, labels: Sequence[str], errors: ErrorLog) -> str:
        """Process all inputs; return a summary.

        Raises:
            FerError: the result lines cannot be written, or the disk is full; what was written before is
                kept. Any other failure of an annotated copy goes to `errors`.
        """
        videos = {entry.name for entry in self.found if entry.is_video}
        tally = Tally()
        with contextlib.ExitStack() as stack:
            # On errors and Ctrl-C these are closed too, the last one first.
            window = stack.enter_context(contextlib.closing(Window())) if self.show else None
            files = [
                (form, stack.enter_context(contextlib.closing(LineWriter(target))))
                for form, target in self._formats()
            ]
            copies = stack.enter_context(
                contextlib.closing(AnnotatedCopies(self.found, self.planned, errors.report))
            )
            advance = stack.enter_context(self._progress())
            for form, file in files:
                file.write(results.csv_header(labels) if form is results.csv_lines else "")
            read = read_frames(self.found, errors.report, advance, self.max_pixels)
            for analysis in stack.enter_context(contextlib.closing(pipeline.run(read))):
                frame, is_video = analysis.frame, analysis.frame.source in videos
                known = analysis if is_video else _untracked(analysis)
                if is_video:
                    advance(0, f"{results.printable(frame.source)} at {frame.time_ms / 1000:.1f} s")
                tally.add(known)
                for form, file in files:
                    file.write(form(known, labels))
                if not self._draw(known, copies, window, wait=not is_video):
                    break
        return tally.summary(len(self.found), errors.count)

    def _formats(self) -> list[tuple[Format, str]]:
        """Return each format with its target; readable lines go to standard output if nothing else does."""
        asked: list[tuple[Format, str | None]] = [
            (results.json_lines, self.json),
            (results.csv_lines, self.csv),
            (results.text_lines, None if STANDARD_OUTPUT in (self.json, self.csv) else STANDARD_OUTPUT),
        ]
        return [(form, target) for form, target in asked if target is not None]

    def _progress(self) -> contextlib.AbstractContextManager[progress.Advance]:
        """Return a progress bar on a terminal, but none beside readable lines, which show the progress."""
        shows_lines = STANDARD_OUTPUT not in (self.json, self.csv) and _is_terminal(sys.stdout)
        if self.quiet or shows_lines or not _is_terminal(sys.stderr):
            return contextlib.nullcontext(progress.silent)
        return progress.bar("reading faces", len(self.found))

    def _draw(
        self, analysis: Analysis, copies: AnnotatedCopies, window: Window | None, *, wait: bool
    ) -> bool:
        """Write and show the annotated frame if that is wanted; return False once the window was closed."""
        from fer_engine.vision.annotate import annotate

        if not self.planned and window is None:
            return True
        image = annotate(analysis.frame.image, analysis.faces)
        if self.planned:
            copies.write(analysis.frame, image)
        return window is None or window.show(image, wait=wait)


def _untracked(analysis: Analysis) -> Analysis:
    """Return the analysis of a still image without track numbers, which have no meaning there."""
    faces = tuple(dataclasses.replace(face, track=None) for face in analysis.faces)
    return dataclasses.replace(analysis, faces=faces)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
