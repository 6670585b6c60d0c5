"""fer-predict: find the faces in images, in videos or of a camera, and classify their expressions."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import detector_options, exit_codes, model_options

if TYPE_CHECKING:
    from fer_engine.engine import Engine
    from fer_engine.vision.face import Boxes
    from fer_engine.vision.image import Image
    from fer_engine.vision.video.pipeline import Pipeline

INPUT_HELP = (
    "image, video, folder (searched with its subfolders), pattern, URL (rtsp://, http:// and others), number "
    "of a camera, or - for an image or a video on standard input"
)
# An error of a file is reported in one line; OpenCV and FFmpeg would print theirs as well.
LOG_LEVELS = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    # Pillow warns of unusual metadata in images that it can read.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with _ended_by_sigterm(), _warnings_in_lines():
        return exit_codes.run_command(lambda: _run(options))


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Make SIGTERM end the command as Ctrl-C does, so that a video keeps its frames up to there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _WarningLines(logging.Handler):
    """Prints warnings to standard error as errors are printed, one a line."""

    def emit(self, record: logging.LogRecord) -> None:
        from fer_engine.predict.results import printable

        print(f"warning: {printable(record.getMessage())}", file=sys.stderr)


@contextlib.contextmanager
def _warnings_in_lines() -> Iterator[None]:
    logger, handler = logging.getLogger("fer_engine"), _WarningLines(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _parser() -> argparse.ArgumentParser:
    from fer_engine.vision.image import MAX_PIXELS

    parser = argparse.ArgumentParser(prog="fer-predict", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help=INPUT_HELP)
    add(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="largest width x height of an image or frame (default: %(default)s)",
    )
    add("-q", "--quiet", action="store_true", help="print results and errors only (default: off)")
    _add_results(parser)
    _add_faces(parser)
    add_to_model = model_options.add(parser).add_argument
    add_to_model("--tta", default="none", help="flip averages a face and its mirror image (default: none)")
    return parser


def _add_results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("results (default: readable lines on standard output)").add_argument
    add("-o", "--output", type=Path, help="annotated copy: a file, or a folder for several (default: none)")
    add("--json", metavar="FILE", help="JSON Lines, one for each face; - is standard output (default: none)")
    add("--csv", metavar="FILE", help="a table, one row for each face; - is standard output (default: none)")
    add("--show", action="store_true", help="show annotated images in a window, q closes it (default: off)")


def _add_faces(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("faces")
    add = group.add_argument
    add("--crop", action="store_true", help="take each image as one face, detect nothing (default: off)")
    detector_options.add(group)
    add("--margin", type=float, metavar="M", help="share of a box added at each side (default: 0.02)")
    add("--every", type=int, metavar="K", help="detect in every K-th frame, else follow faces (default: 1)")
    add("--smoothing", type=float, metavar="W", help="weight of a face's earlier frames (default: 0, off)")
    add("--min-confidence", type=float, metavar="P", help=model_options.MIN_CONFIDENCE)


def _run(options: argparse.Namespace) -> int:
    from fer_engine.predict.inputs import find_inputs
    from fer_engine.predict.job import ErrorLog, Job
    from fer_engine.vision.library import opencv, pillow, pyav

    _check(options)
    for name, level in LOG_LEVELS.items():
        os.environ.setdefault(name, level)
    opencv()  # a missing library is an error now, before a model is exported
    pillow()
    pyav()
    errors = ErrorLog()
    found = find_inputs(options.inputs, errors.report, skip=options.output)
    if not found:
        return exit_codes.EXIT_ERROR
    job = Job(
        found, options.output, options.json, options.csv, options.show, options.max_pixels, options.quiet
    )
    with model_options.load_engine(options, tta=options.tta) as engine:
        pipeline = _pipeline(engine, options, live=job.is_live)
        _note(_describe(engine, options), options)
        _note(job.run(pipeline, engine.spec.labels, errors), options)
    return exit_codes.EXIT_ERROR if errors.count else 0


def _note(line: str, options: argparse.Namespace) -> None:
    if not options.quiet:
        print(line, file=sys.stderr)


def _check(options: argparse.Namespace) -> None:
    from fer_engine.errors import ConfigError

    model_options.check(options)
    if options.crop:
        for name in ("detector", "detect_size", "min_face_score", "margin", "every"):
            if getattr(options, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(
                    f"{option} is for finding faces, but --crop takes each image as a face: drop one"
                )


def _pipeline(engine: Engine, options: argparse.Namespace, *, live: bool) -> Pipeline:
    from fer_engine.vision.video.pipeline import Pipeline

    given = {name: getattr(options, name) for name in ("margin", "every", "smoothing", "min_confidence")}
    settings = {name: value for name, value in given.items() if value is not None}
    if options.crop:
        settings["margin"] = 0.0
    detector = whole_image if options.crop else detector_options.load_detector(options)
    return Pipeline(engine, detector, live=live, **settings)


def _describe(engine: Engine, options: argparse.Namespace) -> str:
    info = engine.info
    faces = "images taken as faces" if options.crop else f"faces by {detector_options.described(options)}"
    flip = ", averaged over mirror images" if info.tta == "flip" else ""
    return f"{info.model} {info.precision} on {info.backend}, {info.device}{flip}; {faces}"


def whole_image(image: Image) -> Boxes:
    """Be a face detector that returns one box, int32 [1, 4], around the whole image."""
    import numpy as np

    height, width = image.shape[:2]
    return np.array([[0, 0, width, height]], np.int32)
