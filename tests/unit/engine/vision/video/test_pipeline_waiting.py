"""What waits in the pipeline: never a frame alone, never too many, and with a camera none that is late."""

import threading
import time

import numpy as np
import pytest

from fer_engine.vision import Frame, Pipeline
from fer_engine.vision.video.threads import MAX_FRAME_BYTES
from grays import BOX, GrayEngine, box_of, grays, labels_of

pytest.importorskip("cv2")
pytestmark = pytest.mark.usefixtures("no_thread_is_left")


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


@pytest.mark.parametrize(("share", "most"), [(5, 5), (0.5, 1)])
def test_large_images_wait_by_their_bytes(share, most):
    """Of a fifth of what may wait, five do; one larger than all of it goes alone."""
    image = np.zeros((int(MAX_FRAME_BYTES / share / 3000), 1000, 3), np.uint8)  # takes memory once it is used
    taken = []

    def source():
        for index in range(20):
            taken.append(index)
            yield Frame(f"{index}.jpg", 0, 0.0, image)

    run = Pipeline(GrayEngine(), box_of, queue=16).run(source())
    for analysis in run:
        if not analysis.frame.source.startswith("0."):
            continue
        time.sleep(0.3)
        assert len(taken) <= 1 + most + 1  # one handed over, those that wait, one in the hand of the source
    assert len(taken) == 20


def detector_slower_than_a_camera():
    """A detector that is not through with its first image before 100 have come, and what they come from."""
    all_came = threading.Event()

    def busy(_image):
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
