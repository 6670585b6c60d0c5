"""The pipeline with stand-ins whose answers tell which frame they belong to."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fer_engine import ConfigError, ModelSpec
from fer_engine.vision import Frame, HaarDetector, Pipeline, find_expressions
from grays import BOX, GrayEngine, box_of, grays, labels_of

pytest.importorskip("cv2")
data = pytest.importorskip("skimage.data")
pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("queue", [1, 7])
def test_frames_keep_their_order_and_their_faces(threads, queue):
    random = np.random.default_rng(0)

    def detector(_image):
        time.sleep(random.uniform(0, 0.004))
        return BOX

    pipeline = Pipeline(GrayEngine(), detector, queue=queue, detector_threads=threads)
    analyses = list(pipeline.run(grays(100)))
    assert [analysis.frame.index for analysis in analyses] == list(range(100))
    assert labels_of(analyses) == [str(index) for index in range(100)]
    assert {face.box for analysis in analyses for face in analysis.faces} == {(4, 2, 8, 8)}
    assert {face.track for analysis in analyses for face in analysis.faces} == {0}


def test_faces_of_several_frames_and_files_go_to_the_engine_together():
    searched, many_wait = [], threading.Event()

    class BusyEngine(GrayEngine):
        def predict(self, faces):
            many_wait.wait(20)
            return super().predict(faces)

    def detector(_image):
        searched.append(1)
        if len(searched) == 13:
            many_wait.set()
        return BOX

    engine = BusyEngine()
    files = (frame for name in "abcdef" for frame in grays(10, name))
    analyses = list(Pipeline(engine, detector).run(files))
    assert sum(engine.given) == 60
    assert max(engine.given) > 6
    assert [analysis.frame.source for analysis in analyses] == [name for name in "abcdef" for _ in range(10)]


def test_detection_in_every_third_frame_of_each_source():
    searched = []

    def detector(image):
        searched.append(int(image[0, 0, 0]))
        return BOX

    frames = (frame for start, name in ((0, "a"), (100, "b")) for frame in grays(8, name, start))
    analyses = list(Pipeline(GrayEngine(), detector, every=3).run(frames))
    assert sorted(searched) == [0, 3, 6, 100, 103, 106]
    assert len(analyses) == 16


def test_a_video_given_twice_begins_anew():
    twice = (frame for _ in range(2) for frame in grays(2))
    searched = []

    def detector(image):
        searched.append(int(image[0, 0, 0]))
        return BOX

    assert len(list(Pipeline(GrayEngine(), detector, every=2, detector_threads=1).run(twice))) == 4
    assert searched == [0, 0]


def test_faces_are_followed_between_detections():
    image = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    shifted = (
        Frame("video", step, step * 40.0, np.roll(image, (2 * step, 3 * step), (0, 1))) for step in range(6)
    )
    box = np.array([[170, 60, 120, 120]], np.int32)
    followed = list(Pipeline(GrayEngine(), lambda _: box, every=6).run(shifted))
    for step, analysis in enumerate(followed):
        (face,) = analysis.faces
        np.testing.assert_allclose(face.box, [170 + 3 * step, 60 + 2 * step, 120, 120], atol=3)


def test_smoothing_outvotes_a_single_frame():
    def flickering():
        for frame in grays(9):
            frame.image[:] = 200 if frame.index == 5 else 50
            yield frame

    plain = Pipeline(GrayEngine(), box_of).run(flickering())
    assert labels_of(plain) == ["50"] * 5 + ["200"] + ["50"] * 3
    smooth = Pipeline(GrayEngine(), box_of, smoothing=0.6).run(flickering())
    assert labels_of(smooth) == ["50"] * 9


def test_smoothing_begins_anew_with_each_source():
    frames = (frame for start, name in ((50, "a"), (200, "b")) for frame in grays(1, name, start))
    assert labels_of(Pipeline(GrayEngine(), box_of, smoothing=0.9).run(frames)) == ["50", "200"]


def test_no_face_and_thousands_of_faces():
    many = np.tile(BOX, (3000, 1))
    nothing = np.empty((0, 4), np.int32)
    pipeline = Pipeline(GrayEngine(), lambda image: many if image[0, 0, 0] == 1 else nothing)
    counts = [len(analysis.faces) for analysis in pipeline.run(grays(3))]
    assert counts == [0, 3000, 0]


def test_no_frames_give_no_analyses():
    assert list(Pipeline(GrayEngine(), box_of).run([])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"queue": 0}, "queue must be at least 1, got 0"),
        ({"detector_threads": 0}, "detector_threads must be at least 1, got 0"),
        ({"smoothing": 1.0}, "smoothing must be from 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        Pipeline(GrayEngine(), box_of, **options)


def test_a_regression_tells_no_expressions():
    engine = SimpleNamespace(spec=ModelSpec("affect", labels=("valence", "arousal"), task="regression"))
    with pytest.raises(ConfigError, match="affect is a regression model"):
        Pipeline(engine)


def test_each_frame_says_what_find_expressions_says_of_it():
    image = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    images = [image[step:, : 512 - step].copy() for step in range(0, 40, 4)]
    detector, engine = HaarDetector(), GrayEngine()
    frames = (Frame("video", index, 0.0, image) for index, image in enumerate(images))
    analyses = list(Pipeline(engine, detector, detector_threads=2).run(frames))
    for image, analysis in zip(images, analyses, strict=True):
        faces = find_expressions(engine, image, detector)
        assert len(faces) >= 1
        assert [(f.box, f.label) for f in analysis.faces] == [(f.box, f.label) for f in faces]
