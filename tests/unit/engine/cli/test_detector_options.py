"""From the options of a command to a detector."""

from __future__ import annotations

import argparse

import cv2
import pytest

from fer_engine.cli import detector_options
from fer_engine.vision import detectors


@pytest.fixture
def asked(monkeypatch):
    """Give what the options ask `load_detector` for, and the words for it."""

    def ask(*arguments: str):
        loaded = []
        monkeypatch.setattr(detectors, "load_detector", lambda *values: loaded.append(values))
        parser = argparse.ArgumentParser()
        detector_options.add(parser.add_argument_group("faces"))
        parser.add_argument("--backend")
        parser.add_argument("--precision")
        options = parser.parse_args(arguments)
        detector_options.load_detector(options)
        return loaded[0], detector_options.described(options)

    threads = cv2.getNumThreads()
    yield ask
    cv2.setNumThreads(threads)


@pytest.mark.parametrize(
    ("backend", "expected"), [("auto", None), ("tensorrt", None), ("onnxruntime",) * 2, ("openvino",) * 2]
)
def test_the_backend_of_the_model_runs_the_detector_too_where_it_can(asked, backend, expected):
    arguments = ["--detector", "yunet", "--detect-size", "320", "--min-face-score", "0.7"]
    loaded, words = asked("--backend", backend, "--precision", "int8", *arguments)
    assert loaded == ("yunet", 320, 0.7, expected, None)
    assert words == f"yunet on {expected}" if expected else "yunet"


@pytest.mark.parametrize(("precision", "expected"), [("int8", "int8"), ("fp16", None), ("auto", None)])
def test_the_precision_of_the_model_is_the_finders_too_where_it_has_it(asked, precision, expected):
    loaded, words = asked("--backend", "openvino", "--precision", precision)
    assert loaded == ("finder", "auto", None, "openvino", expected)
    assert words == " ".join(filter(None, ["finder", expected, "on openvino"]))
    assert asked("--backend", "auto", "--precision", precision)[0][3:] == (None, None)


def test_opencv_keeps_its_threads_for_its_own_cascade_alone(asked):
    cv2.setNumThreads(2)
    asked("--detector", "haar", "--backend", "openvino")
    assert cv2.getNumThreads() == 2
    asked("--backend", "openvino")
    assert cv2.getNumThreads() == 1
