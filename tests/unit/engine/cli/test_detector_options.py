"""From the options of a command to a detector."""

from __future__ import annotations

import argparse

import pytest

from fer_engine.cli import detector_options
from fer_engine.vision import detectors


@pytest.mark.parametrize(
    ("backend", "expected"), [("auto", None), ("tensorrt", None), ("onnxruntime",) * 2, ("openvino",) * 2]
)
def test_the_backend_of_the_model_runs_the_detector_too_where_it_can(monkeypatch, backend, expected):
    asked = []
    monkeypatch.setattr(detectors, "load_detector", lambda *values: asked.append(values))
    parser = argparse.ArgumentParser()
    detector_options.add(parser.add_argument_group("faces"))
    parser.add_argument("--backend")
    options = parser.parse_args(
        ["--backend", backend, "--detector", "yunet", "--detect-size", "320", "--min-face-score", "0.7"]
    )
    detector_options.load_detector(options)
    assert asked == [("yunet", 320, 0.7, expected)]
