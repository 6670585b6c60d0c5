"""The pipeline with stand-ins whose answers tell which frame they belong to."""

import _thread
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer_engine import ConfigError, InputError, ModelSpec, Prediction
from fer_engine.vision import Frame, HaarDetector, Pipeline, find_expressions

pytest.importorskip("cv2")
data = pytest.importorskip("skimage.data")

LABELS = tuple(str(value) for value in range(256))
BOX = np.array([[4, 2, 8, 8]], np.int32)
FORGOTTEN = """
from test_pipeline import *
run = Pipeline(GrayEngine(), box_of, queue=2).run(grays(1000))
print(next(run).faces[0].label)
"""


class GrayEngine:
    """Labels a face by the gray of its middle; remembers how many faces it was given at once."""

    spec = ModelSpec("gray", labels=LABELS)

    def __init__(self):
        self.given = []

    def predict(self, faces):
        self.given.append(len(faces))
        grays = faces[:, 24, 24]
        return Prediction([LABELS[gray] for gray in grays], np.eye(256, dtype=np.float32)[grays])


def box_of(_picture):
    return BOX


def grays(count, source="video", start=0):
    for index in range(count):
        picture = np.full((16, 20, 3), (start + index) % 256, np.uint8)
        yield Frame(source, index, index * 40.0, picture)


def labels_of(analyses):
    return [face.label for analysis in analyses for face in analysis.faces]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("fer-")] == []


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("queue", [1, 7])
def test_frames_keep_their_order_and_their_faces(threads, queue):
    random = np.random.default_rng(0)

    def detector(_picture):
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

    def detector(_picture):
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


def test_a_frame_alone_is_analysed_at_once():
    analysed = [threading.Event() for _ in range(5)]
    waited = []

    def camera():
        for frame, event in zip(grays(5), analysed, strict=True):
            yield frame
            waited.append(event.wait(20))

    for analysis in Pipeline(GrayEngine(), box_of).run(camera()):
        analysed[analysis.frame.index].set()
    assert waited == [True] * 5


def test_the_source_waits_for_who_takes_the_results():
    taken = []

    def source():
        for frame in grays(500):
            taken.append(frame.index)
            yield frame

    run = Pipeline(GrayEngine(), box_of, queue=4).run(source())
    next(run)
    time.sleep(0.2)
    # Two queues of 4, one frame taken here, 4 + 1 in the analysis, and 1 in the hand of the source.
    assert len(taken) <= 4 + 4 + 1 + 5 + 1
    run.close()


def broken_source():
    yield from grays(6)
    raise InputError("the source broke")


def breaks_at_six(picture):
    if picture[0, 0, 0] == 6:
        raise InputError("the detector broke")
    return BOX


def gives_nonsense_at_six(picture):
    return "nonsense" if picture[0, 0, 0] == 6 else BOX


@pytest.mark.parametrize(
    ("frames", "detector", "message"),
    [
        (broken_source, box_of, "the source broke"),
        (lambda: grays(50), breaks_at_six, "the detector broke"),
        (lambda: grays(50), gives_nonsense_at_six, "the detector gave"),
    ],
)
def test_an_error_comes_after_the_frames_before_it(frames, detector, message):
    seen = []
    run = Pipeline(GrayEngine(), detector, detector_threads=3).run(frames())
    with pytest.raises(InputError, match=message):
        seen.extend(analysis.frame.index for analysis in run)  # keeps what came before the error
    assert seen == list(range(6))


def test_an_error_of_the_engine_is_raised():
    class Broken(GrayEngine):
        def predict(self, _faces):
            raise InputError("the engine broke")

    with pytest.raises(InputError, match="the engine broke"):
        list(Pipeline(Broken(), box_of, queue=2).run(grays(50)))


def test_closing_early_ends_the_threads_and_the_source():
    ended = []

    def source():
        try:
            yield from grays(10_000)
        finally:
            ended.append(threading.current_thread().name)

    run = Pipeline(GrayEngine(), box_of, queue=2).run(source())
    assert next(run).frame.index == 0
    run.close()
    assert ended == ["fer-decode"]


def test_an_error_of_who_takes_the_results_ends_the_threads():
    def take():
        for analysis in Pipeline(GrayEngine(), box_of, queue=2).run(grays(10_000)):
            raise KeyError(analysis.frame.index)

    with pytest.raises(KeyError):
        take()  # the fixture looks for threads


def test_ctrl_c_while_waiting_ends_the_threads():
    ended = threading.Event()

    def stalls(picture):
        if picture[0, 0, 0] == 3:
            _thread.interrupt_main()  # what Ctrl-C does
            ended.wait(0.3)
        return BOX

    seen = []
    run = Pipeline(GrayEngine(), stalls).run(grays(10_000))
    with pytest.raises(KeyboardInterrupt):
        seen.extend(analysis.frame.index for analysis in run)
    assert seen == list(range(len(seen)))
    assert len(seen) < 10_000


def test_a_program_that_forgets_a_run_ends():
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}){FORGOTTEN}"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0\n", "")


def test_detection_in_every_third_frame_of_each_source():
    searched = []

    def detector(picture):
        searched.append(int(picture[0, 0, 0]))
        return BOX

    frames = (frame for start, name in ((0, "a"), (100, "b")) for frame in grays(8, name, start))
    analyses = list(Pipeline(GrayEngine(), detector, every=3).run(frames))
    assert sorted(searched) == [0, 3, 6, 100, 103, 106]
    assert len(analyses) == 16


def test_a_video_given_twice_begins_anew():
    twice = (frame for _ in range(2) for frame in grays(2))
    searched = []

    def detector(picture):
        searched.append(int(picture[0, 0, 0]))
        return BOX

    assert len(list(Pipeline(GrayEngine(), detector, every=2, detector_threads=1).run(twice))) == 4
    assert searched == [0, 0]


def test_faces_are_followed_between_detections():
    picture = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    shifted = (
        Frame("video", step, step * 40.0, np.roll(picture, (2 * step, 3 * step), (0, 1))) for step in range(6)
    )
    box = np.array([[170, 60, 120, 120]], np.int32)
    followed = list(Pipeline(GrayEngine(), lambda _: box, every=6).run(shifted))
    for step, analysis in enumerate(followed):
        (face,) = analysis.faces
        np.testing.assert_allclose(face.box, [170 + 3 * step, 60 + 2 * step, 120, 120], atol=3)


def test_smoothing_outvotes_a_single_frame():
    def flickering():
        for frame in grays(9):
            frame.picture[:] = 200 if frame.index == 5 else 50
            yield frame

    plain = Pipeline(GrayEngine(), box_of).run(flickering())
    assert labels_of(plain) == ["50"] * 5 + ["200"] + ["50"] * 3
    smooth = Pipeline(GrayEngine(), box_of, smoothing=0.6).run(flickering())
    assert labels_of(smooth) == ["50"] * 9


def test_smoothing_begins_anew_with_each_source():
    frames = (frame for start, name in ((50, "a"), (200, "b")) for frame in grays(1, name, start))
    assert labels_of(Pipeline(GrayEngine(), box_of, smoothing=0.9).run(frames)) == ["50", "200"]


def detector_slower_than_a_camera():
    """A detector that is not through with its first picture before 100 have come, and what they come from."""
    all_came = threading.Event()

    def busy(_picture):
        all_came.wait(20)
        return BOX

    def camera():
        yield from grays(100)
        all_came.set()

    return busy, camera


def test_a_live_run_drops_frames_while_it_is_busy():
    busy, camera = detector_slower_than_a_camera()
    analyses = list(Pipeline(GrayEngine(), busy, queue=2, live=True).run(camera()))
    indices = [analysis.frame.index for analysis in analyses]
    assert indices[:2] == [0, 1]
    assert len(indices) <= 4  # a queue of 2, one taken from it, and one more that was put while it was taken
    assert labels_of(analyses) == [str(index) for index in indices]


def test_few_frames_of_a_live_run_wait_unless_told_otherwise():
    busy, camera = detector_slower_than_a_camera()
    analyses = list(Pipeline(GrayEngine(), busy, detector_threads=1, live=True).run(camera()))
    assert 1 <= len(analyses) <= 2  # one that is searched, and one that waits


def test_no_face_and_thousands_of_faces():
    many = np.tile(BOX, (3000, 1))
    nothing = np.empty((0, 4), np.int32)
    pipeline = Pipeline(GrayEngine(), lambda picture: many if picture[0, 0, 0] == 1 else nothing)
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
    picture = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    pictures = [picture[step:, : 512 - step].copy() for step in range(0, 40, 4)]
    detector, engine = HaarDetector(), GrayEngine()
    frames = (Frame("video", index, 0.0, picture) for index, picture in enumerate(pictures))
    analyses = list(Pipeline(engine, detector, detector_threads=2).run(frames))
    for picture, analysis in zip(pictures, analyses, strict=True):
        faces = find_expressions(engine, picture, detector)
        assert len(faces) >= 1
        assert [(f.box, f.label) for f in analysis.faces] == [(f.box, f.label) for f in faces]
