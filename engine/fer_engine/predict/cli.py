"""fer-predict: find the faces in images, videos or what a camera sees, and read their expressions."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import exit_codes, model_options

if TYPE_CHECKING:
    from fer_engine.engine import Engine
    from fer_engine.vision.face import Boxes, FaceDetector
    from fer_engine.vision.image import Image
    from fer_engine.vision.video.pipeline import Pipeline

HAAR = "haar"
# What goes wrong with a file is told in one line, without what OpenCV and FFmpeg print beside it.
QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    # Pillow's warnings of odd metadata: the image is read all the same.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with _ended_by_sigterm():
        return exit_codes.run(lambda: _run(options))


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the command as Ctrl-C does: a video keeps its frames up to there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    from fer_engine.vision.image import MAX_PIXELS

    parser = argparse.ArgumentParser(prog="fer-predict", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image, video, folder (with all below it), pattern, number of a camera, or - for an image on "
        "standard input",
    )
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="largest width x height that is decoded (default: %(default)s)",
    )
    results = parser.add_argument_group("results (default: lines to read, on standard output)")
    results.add_argument(
        "--output", type=Path, help="annotated copy: a file for one input, a folder for many"
    )
    results.add_argument("--json", metavar="FILE", help="JSON Lines, one a face; - is standard output")
    results.add_argument("--csv", metavar="FILE", help="the same as a table; - is standard output")
    results.add_argument("--show", action="store_true", help="show what comes in a window, q closes it")
    faces = parser.add_argument_group("faces")
    faces.add_argument("--crop", action="store_true", help="each image is a face already: detect nothing")
    faces.add_argument(
        "--detector", metavar="haar|FILE.onnx", help="OpenCV's Haar cascade, or a YuNet file (default: haar)"
    )
    faces.add_argument(
        "--detect-size",
        type=int,
        metavar="PIXELS",
        help="shrink larger images to this longest side to find faces; more finds smaller ones and takes "
        "longer (default: 320, YuNet 640)",
    )
    faces.add_argument("--margin", type=float, help="of the crop, as a share of the box (default: measured)")
    faces.add_argument(
        "--every", type=int, metavar="K", help="detect in each K-th frame, follow faces between (default: 1)"
    )
    faces.add_argument(
        "--smoothing", type=float, help="of a video's expressions, 0 (none, the default) to below 1"
    )
    model = model_options.add(parser)
    model.add_argument(
        "--tta", default="none", help="flip averages each face with its mirror image (default: none)"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from fer_engine.predict import inputs
    from fer_engine.predict.job import Job, Problems
    from fer_engine.vision.library import opencv, pillow

    _check(options)
    for name, level in QUIET.items():
        os.environ.setdefault(name, level)
    opencv()  # says what to install, before a model is exported
    pillow()
    problems = Problems()
    found = inputs.find(options.inputs, problems.report, outside=options.output)
    if not found:
        return exit_codes.EXIT_ERROR
    job = Job(found, options.output, options.json, options.csv, options.show, options.max_pixels)
    with model_options.load(options, tta=options.tta) as engine:
        pipeline = _pipeline(engine, options, live=job.is_live)
        print(_describe(engine, options), file=sys.stderr)
        print(job.run(pipeline, engine.spec.labels, problems), file=sys.stderr)
    return exit_codes.EXIT_ERROR if problems.count else 0


def _check(options: argparse.Namespace) -> None:
    from fer_engine.errors import ConfigError

    model_options.check(options)
    if options.crop:
        for name in ("detector", "detect_size", "margin", "every"):
            if getattr(options, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(
                    f"{option} is for finding faces, --crop takes each image as one: leave one out"
                )


def _pipeline(engine: Engine, options: argparse.Namespace, *, live: bool) -> Pipeline:
    from fer_engine.vision.video.pipeline import Pipeline

    given = {name: getattr(options, name) for name in ("margin", "every", "smoothing")}
    settings = {name: value for name, value in given.items() if value is not None}
    if options.crop:
        settings["margin"] = 0.0
    return Pipeline(engine, _detector(options), live=live, **settings)


def _detector(options: argparse.Namespace) -> FaceDetector:
    from fer_engine.vision.detector import HaarDetector, YuNetDetector

    if options.crop:
        return whole_image
    size = {} if options.detect_size is None else {"longest_side": options.detect_size}
    if options.detector in (None, HAAR):
        return HaarDetector(**size)
    return YuNetDetector(Path(options.detector), **size)


def _describe(engine: Engine, options: argparse.Namespace) -> str:
    info = engine.info
    faces = "images taken as faces" if options.crop else f"faces by {options.detector or HAAR}"
    flip = ", averaged over mirror images" if info.tta == "flip" else ""
    return f"{info.model} {info.precision} on {info.backend}, {info.device}{flip}; {faces}"


def whole_image(image: Image) -> Boxes:
    """Return one box, int32 [1, 4], around all of an image: a face detector that has nothing to look for."""
    import numpy as np

    height, width = image.shape[:2]
    return np.array([[0, 0, width, height]], np.int32)


if __name__ == "__main__":
    sys.exit(main())
