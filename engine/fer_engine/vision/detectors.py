"""The face detectors by name, and which one is used where none is given."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from fer_engine.errors import ConfigError
from fer_engine.vision.face import FaceDetector
from fer_engine.vision.finder.finder import FaceFinder
from fer_engine.vision.haar import HaarDetector
from fer_engine.vision.yunet import YuNetDetector

AUTO = "auto"  # a search size: the detector's own choice
NAMES = ("finder", "haar", "yunet")
DEFAULT = "finder"
KNOWN = f"{', '.join(NAMES)}, or the ONNX file of a YuNet"


def load_detector(
    name: str = DEFAULT,
    detect_size: int | str = AUTO,
    min_face_score: float | None = None,
    backend: str | None = None,
    precision: str | None = None,
) -> FaceDetector:
    """Return a face detector.

    Args:
        name: One of NAMES, or the path of a YuNet's ONNX file. The first use of "yunet" fetches its file.
        detect_size: Longest side to which larger images are shrunk, in pixels; "auto" for the detector's own.
        min_face_score: Lowest score of a face, from 0 to 1; None for the detector's own.
        backend: The runtime of a detector that is a network; None for the detector's own.
        precision: Of the finder's networks; None for FP32. Other detectors have one precision.

    Raises:
        ConfigError: the name is unknown, the file is missing or cannot be fetched, a value is out of range,
            the detector gives no scores and `min_face_score` is given, or has no `precision`.
        BackendError: the runtime is not installed.
    """
    if name == "finder":
        given = _given(min_face_score=min_face_score, backend=backend, precision=precision)
        return FaceFinder(detect_size, **given)
    if precision is not None:
        raise ConfigError(f"the detector {name} has no precision to choose, got {precision!r}: leave it out")
    size = {} if detect_size == AUTO else {"longest_side": _as_size(detect_size)}
    if name == "haar":
        if min_face_score is not None:
            raise ConfigError(
                "the detector haar gives no scores of which min_face_score (--min-face-score) can be asked; "
                "leave it out, or choose another detector"
            )
        return HaarDetector(**size)
    if name == "yunet" or Path(name).suffix.lower() == ".onnx":
        given = _given(**size, score_threshold=min_face_score, backend=backend)
        return YuNetDetector(None if name == "yunet" else name, **given)
    raise ConfigError(f"unknown detector {name!r}; expected {KNOWN}")


def default_detector(min_face_score: float | None = None) -> FaceDetector:
    """Return the detector that is used where none is given; it is loaded once in each process."""
    return _loaded(os.getpid(), min_face_score)  # a forked process cannot use its parent's


@functools.cache
def _loaded(process: int, min_face_score: float | None) -> FaceDetector:  # noqa: ARG001 - a part of the key
    return load_detector(min_face_score=min_face_score)


def serves_threads(detector: FaceDetector) -> bool:
    """Return whether several threads may call a detector; of one that is not ours that is not known."""
    return isinstance(detector, FaceFinder | HaarDetector | YuNetDetector)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not left to the detector."""
    return {name: value for name, value in options.items() if value is not None}


def _as_size(given: Any) -> int:
    if type(given) is not int:
        raise ConfigError(f"the size to detect at must be a number of pixels or {AUTO!r}, got {given!r}")
    return given
