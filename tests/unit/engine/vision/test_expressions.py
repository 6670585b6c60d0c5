"""From photographs to expressions, with the network that ships."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from fer_engine import Engine
from fer_engine.artifact.spec import AFFECT, ModelSpec
from fer_engine.errors import ConfigError, InputError
from fer_engine.vision import (
    UNCERTAIN,
    Detections,
    Frame,
    HaarDetector,
    Pipeline,
    crop_faces,
    find_expressions,
)
from fer_train import synthetic


@pytest.fixture(scope="module")
def engine(exported) -> Iterator[Engine]:
    with Engine.load(exported, threads=1) as loaded:
        yield loaded


def test_a_smile_is_happy(engine, astronaut):
    (face,) = find_expressions(engine, astronaut)
    assert face.label == "happy"
    assert face.probabilities[engine.spec.labels.index("happy")] > 0.7
    assert face.track is None


def test_expressions_of_several_faces(engine, astronaut, hopper):
    side_by_side = np.hstack([hopper[:512], astronaut])
    faces = find_expressions(engine, side_by_side, HaarDetector(longest_side=640))
    assert [face.box[0] // 512 for face in faces] == [0, 1]
    for face in faces:
        assert face.label == engine.spec.labels[face.probabilities.argmax()]
        assert face.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert all(type(number) is int for number in face.box)
        assert set(face.as_json(engine.spec.labels)["probabilities"]) == set(engine.spec.labels)


def test_a_scene_of_synthetic_faces(engine):
    scene = np.full((480, 640, 3), 90, np.uint8)
    for index, face in enumerate(synthetic.faces(3)):
        large = cv2.resize(face, (160, 160), interpolation=cv2.INTER_CUBIC)
        scene[160:320, 20 + 200 * index : 180 + 200 * index] = large[..., np.newaxis]
    faces = find_expressions(engine, scene)
    assert [round((face.box[0] - 20) / 200) for face in faces] == [0, 1, 2]


def test_any_callable_detects_and_all_faces_make_one_batch(engine, astronaut, monkeypatch):
    batches = []
    predict = engine.predict
    monkeypatch.setattr(engine, "predict", lambda faces: batches.append(len(faces)) or predict(faces))
    boxes = [[x % 400, x // 4, 96, 96] for x in range(1000, 0, -1)]
    faces = find_expressions(engine, astronaut, lambda _: boxes)
    assert batches == [1000]
    assert [face.box for face in faces] == sorted(map(tuple, boxes))
    one = find_expressions(engine, astronaut, lambda _: [faces[0].box])[0]
    assert np.allclose(one.probabilities, faces[0].probabilities, atol=1e-5)


def test_the_margin_reaches_the_crop(engine, astronaut):
    box = np.array([[177, 66, 96, 96]], np.int32)
    expected = engine.predict(crop_faces(astronaut, box, engine.spec, 0.25)).probabilities[0]
    (face,) = find_expressions(engine, astronaut, lambda _: box, margin=0.25)
    assert np.allclose(face.probabilities, expected, atol=1e-5)


def two_faces(_: np.ndarray) -> Detections:
    boxes = np.array([[300, 60, 96, 96], [170, 60, 96, 96]], np.int32)
    return Detections(boxes, np.array([0.45, 0.9], np.float32))


def test_faces_carry_the_detector_s_score(engine, astronaut):
    faces = find_expressions(engine, astronaut, two_faces)
    assert [face.score for face in faces] == pytest.approx([0.9, 0.45])
    assert faces[0].as_json(engine.spec.labels)["score"] == 0.9
    (alone,) = find_expressions(engine, astronaut, lambda _: [[170, 60, 96, 96]])
    assert alone.score is None
    assert "score" not in alone.as_json(engine.spec.labels)


@pytest.mark.parametrize(("lowest", "count"), [(None, 2), (0.4, 2), (0.5, 1), (1.0, 0)])
def test_faces_below_the_lowest_score_are_left_out(engine, astronaut, lowest, count):
    assert len(find_expressions(engine, astronaut, two_faces, min_face_score=lowest)) == count
    frames = [Frame("film", index, 0, astronaut) for index in range(2)]
    for analysis in Pipeline(engine, two_faces, every=2, min_face_score=lowest).run(frames):
        assert len(analysis.faces) == count
        assert all(face.score >= (lowest or 0) for face in analysis.faces)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_lowest_score_out_of_range_is_refused(engine, astronaut, wrong):
    with pytest.raises(ConfigError, match="min_face_score must be from 0 to 1"):
        find_expressions(engine, astronaut, min_face_score=wrong)
    with pytest.raises(ConfigError, match="min_face_score must be from 0 to 1"):
        Pipeline(engine, min_face_score=wrong)


def test_no_face_is_no_error(engine):
    assert find_expressions(engine, np.full((480, 640, 3), 200, np.uint8)) == ()


def test_bad_images_and_detectors(engine, astronaut):
    with pytest.raises(InputError, match="an image must be uint8"):
        find_expressions(engine, astronaut[..., 0])
    with pytest.raises(InputError, match="the detector gave NoneType"):
        find_expressions(engine, astronaut, lambda _: None)


def test_a_regression_is_refused(engine, astronaut, monkeypatch):
    affect = ModelSpec("affect", labels=AFFECT, task="regression", output="affect")
    monkeypatch.setattr(Engine, "spec", affect)
    with pytest.raises(ConfigError, match="affect is a regression model, which has no expressions"):
        find_expressions(engine, astronaut)


def test_a_face_below_the_least_confidence_is_uncertain_and_keeps_its_probabilities(engine, astronaut):
    (plain,) = find_expressions(engine, astronaut)
    highest = float(plain.probabilities.max())
    (kept,) = find_expressions(engine, astronaut, min_confidence=highest - 1e-4)
    (doubted,) = find_expressions(engine, astronaut, min_confidence=min(1.0, highest + 1e-4))
    assert (kept.label, doubted.label) == ("happy", UNCERTAIN)
    assert np.allclose(doubted.probabilities, plain.probabilities, atol=1e-5)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_confidence_that_is_no_probability_is_refused(engine, astronaut, wrong):
    with pytest.raises(ConfigError, match="min_confidence must be a probability from 0"):
        find_expressions(engine, astronaut, min_confidence=wrong)
    with pytest.raises(ConfigError, match="min_confidence must be a probability from 0"):
        Pipeline(engine, min_confidence=wrong)


def test_a_network_with_a_label_uncertain_of_its_own_takes_no_threshold(engine, astronaut, monkeypatch):
    monkeypatch.setattr(Engine, "spec", ModelSpec("own", labels=("calm", UNCERTAIN)))
    with pytest.raises(ConfigError, match="own has a label 'uncertain' of its own"):
        find_expressions(engine, astronaut, min_confidence=0.5)
    Pipeline(engine)  # without one it is a label like any other
