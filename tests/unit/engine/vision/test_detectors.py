"""Detectors by name."""

from __future__ import annotations

import pytest

from fer_engine.errors import ConfigError
from fer_engine.vision import FaceFinder, HaarDetector, detectors
from fer_engine.vision.detectors import default_detector, load_detector, serves_threads


def test_a_detector_by_name_takes_the_size_to_search_at():
    assert isinstance(load_detector("haar"), HaarDetector)
    assert isinstance(load_detector("haar", detect_size="auto"), HaarDetector)
    with pytest.raises(ConfigError, match="longest_side must be at least min_size, which is 24, got 20"):
        load_detector("haar", detect_size=20)


def test_yunet_by_name_is_the_fetched_file_and_takes_its_options(monkeypatch):
    given = []
    monkeypatch.setattr(
        detectors, "YuNetDetector", lambda *values, **options: given.append((values, options))
    )
    load_detector("yunet")
    load_detector("mine.ONNX", 320, 0.8, "openvino")
    assert given == [
        ((None,), {}),
        (("mine.ONNX",), {"longest_side": 320, "score_threshold": 0.8, "backend": "openvino"}),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "harr"}, "unknown detector 'harr'; expected .*haar"),
        ({"name": "gone.onnx"}, "gone.onnx"),
        ({"name": "haar", "min_face_score": 0.5}, r"haar gives no scores .*--min-face-score"),
        ({"name": "haar", "precision": "int8"}, "haar has no precision to choose, got 'int8'"),
        ({"name": "haar", "detect_size": "large"}, "a number of pixels or 'auto', got 'large'"),
    ],
)
def test_what_is_no_detector(given, message):
    with pytest.raises(ConfigError, match=message):
        load_detector(**given)


def test_the_default_is_loaded_once_and_serves_several_threads():
    assert default_detector() is default_detector()
    assert serves_threads(default_detector())
    assert not serves_threads(lambda _: [])


def test_the_default_is_the_finder_that_ships():
    assert isinstance(default_detector(), FaceFinder)
