"""From inputs to results: what was found goes to each place that was asked for, as it comes."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fer_engine.errors import ConfigError, FerError
from fer_engine.predict import annotated, inputs, records
from fer_engine.predict.annotated import Copies
from fer_engine.predict.inputs import Input
from fer_engine.predict.records import STANDARD_OUTPUT, Format, Lines
from fer_engine.predict.window import Window, check_display
from fer_engine.system import progress
from fer_engine.vision.image import MAX_PIXELS

if TYPE_CHECKING:
    from fer_engine.vision.video.frame import Analysis
    from fer_engine.vision.video.pipeline import Pipeline


@dataclass(slots=True)
class Problems:
    """What could not be read or annotated: told on standard error at once, and counted."""

    count: int = 0

    def report(self, error: FerError) -> None:
        """Tell of one."""
        self.count += 1
        print(f"error: {records.printable(str(error))}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Job:
    """What to read and where the results go.

    `output` is the annotated copy, `json` and `csv` are files or "-"; each is None where it is not wanted.
    Larger images than `max_pixels` are reported and left out.

    Raises:
        ConfigError: a result would replace an input or another result, a camera is not alone, there is no
            display, or no pixel is allowed.
    """

    found: Sequence[Input]
    output: Path | None = None
    json: str | None = None
    csv: str | None = None
    show: bool = False
    max_pixels: int = MAX_PIXELS
    planned: dict[str, Path] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.is_live and len(self.found) > 1:
            raise ConfigError("a camera gives images without end: name it alone")
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels must be at least 1, got {self.max_pixels}")
        if self.json is not None and self.json == self.csv:
            raise ConfigError(f"--json and --csv would both write {self.json}: give each a target of its own")
        if self.show:
            check_display()
        if self.output is not None:
            self.planned.update(annotated.plan(self.found, self.output))
        files = [Path(name) for name in (self.json, self.csv) if name not in (None, STANDARD_OUTPUT)]
        annotated.protect(self.found, [*self.planned.values(), *files])

    @property
    def is_live(self) -> bool:
        """Whether a camera is read."""
        return any(entry.is_camera for entry in self.found)

    def run(self, pipeline: Pipeline, labels: Sequence[str], problems: Problems) -> str:
        """Do it; return what was done, in one line.

        Raises:
            FerError: the lines of results cannot be written, or the disk is full; what was written before is
                kept. An annotated copy that fails otherwise is one of the problems.
        """
        videos = {entry.name for entry in self.found if entry.is_video}
        frames = faces = 0
        with contextlib.ExitStack() as stack:
            # A failure or Ctrl-C closes all of these, the last one first.
            window = stack.enter_context(contextlib.closing(Window())) if self.show else None
            files = [
                (form, stack.enter_context(contextlib.closing(Lines(target))))
                for form, target in self._formats()
            ]
            written = stack.enter_context(
                contextlib.closing(Copies(self.found, self.planned, problems.report))
            )
            advance = stack.enter_context(self._progress())
            for form, file in files:
                file.write(records.csv_header(labels) if form is records.csv_lines else "")
            read = inputs.frames(self.found, problems.report, advance, self.max_pixels)
            for analysis in stack.enter_context(contextlib.closing(pipeline.run(read))):
                is_video = analysis.frame.source in videos
                known = analysis if is_video else _untracked(analysis)
                if is_video:
                    advance(
                        0, f"{records.printable(known.frame.source)} at {known.frame.time_ms / 1000:.1f} s"
                    )
                frames += 1
                faces += len(known.faces)
                for form, file in files:
                    file.write(form(known, labels))
                if not self._draw(known, written, window, wait=not is_video):
                    break
        return f"inputs: {len(self.found)}, frames: {frames}, faces: {faces}, errors: {problems.count}"

    def _formats(self) -> list[tuple[Format, str]]:
        """Return the formats to write and where; what is to be read goes where nothing else does."""
        asked: list[tuple[Format, str | None]] = [
            (records.json_lines, self.json),
            (records.csv_lines, self.csv),
            (records.text_lines, None if STANDARD_OUTPUT in (self.json, self.csv) else STANDARD_OUTPUT),
        ]
        return [(form, target) for form, target in asked if target is not None]

    def _progress(self) -> contextlib.AbstractContextManager[progress.Advance]:
        """Give a bar on a terminal, but none among the lines to read, which show the progress themselves."""
        is_read = STANDARD_OUTPUT not in (self.json, self.csv) and _is_terminal(sys.stdout)
        if is_read or not _is_terminal(sys.stderr):
            return contextlib.nullcontext(progress.silent)
        return progress.bar("reading faces", len(self.found))

    def _draw(self, analysis: Analysis, written: Copies, window: Window | None, *, wait: bool) -> bool:
        """Annotate the frame where it is wanted; return whether to go on."""
        from fer_engine.vision.annotate import annotate

        if not self.planned and window is None:
            return True
        image = annotate(analysis.frame.image, analysis.faces)
        if self.planned:
            written.write(analysis.frame, image)
        return window is None or window.show(image, wait=wait)


def _untracked(analysis: Analysis) -> Analysis:
    """Return the analysis of a still image without tracks, which number nobody there."""
    faces = tuple(dataclasses.replace(face, track=None) for face in analysis.faces)
    return dataclasses.replace(analysis, faces=faces)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
