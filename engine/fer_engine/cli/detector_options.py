"""The options of a command that choose how faces are found."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_engine.vision.face import FaceDetector

DETECTOR_HELP = (
    "what finds the faces: the finder of this package, OpenCV's Haar cascade, the network YuNet, whose first "
    "use fetches its file of 0.2 MB, or a YuNet file of your own"
)
# Of the runtimes that --backend names, those that can run a detector too.
BACKENDS = ("onnxruntime", "openvino")
HAAR = "haar"
PRECISIONS = ("fp32", "int8", "int8-cpu")  # of the finder's own networks
SIZE_HELP = (
    "shrink larger images to this longest side to detect faces; more finds smaller faces and takes longer "
    "(default: the finder chooses by the image, haar 320, yunet 640)"
)
SCORE_HELP = "leave out faces whose score is below P, 0 to 1 (default: the detector's own)"


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options; each is None if it is not given."""
    from fer_engine.vision.detectors import DEFAULT, NAMES

    names = "|".join((*NAMES, "FILE.onnx"))
    group.add_argument("--detector", metavar=names, help=f"{DETECTOR_HELP} (default: {DEFAULT})")
    group.add_argument("--detect-size", type=_size, metavar="PIXELS|auto", help=SIZE_HELP)
    group.add_argument("--min-face-score", type=float, metavar="P", help=SCORE_HELP)


def _size(text: str) -> int | str:
    return text if text == "auto" else int(text)


_size.__name__ = "size"  # argparse names it in its error


def described(options: argparse.Namespace) -> str:
    """Return the detector that the options ask for in words, with what runs it where that is chosen."""
    backend, precision = _runtime(options)
    return " ".join(
        [_name(options), *([precision] if precision else []), *(["on", backend] if backend else [])]
    )


def _name(options: argparse.Namespace) -> str:
    from fer_engine.vision.detectors import DEFAULT

    return options.detector or DEFAULT


def _runtime(options: argparse.Namespace) -> tuple[str | None, str | None]:
    """Return backend and precision of the detector: the model's, where it has them; else None, its own."""
    name = _name(options)
    backend = options.backend if options.backend in BACKENDS and name != HAAR else None
    chosen = backend and name == "finder" and options.precision in PRECISIONS
    return backend, options.precision if chosen else None


def load_detector(options: argparse.Namespace) -> FaceDetector:
    """Return the detector that the options ask for.

    Raises:
        FerError: what `fer_engine.vision.detectors.load_detector` raises.
    """
    from fer_engine.vision.detectors import AUTO, load_detector
    from fer_engine.vision.library import opencv

    name = _name(options)
    if name != HAAR:
        # Images are searched on every core at once; more threads, of OpenCV, cost a sixth of the frames a
        # second. The cascade alone is OpenCV's own work.
        opencv().setNumThreads(1)
    size = AUTO if options.detect_size is None else options.detect_size
    return load_detector(name, size, options.min_face_score, *_runtime(options))
