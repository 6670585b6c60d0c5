"""How a run of the pipeline ends: with its frames, by an error, closed early, by Ctrl-C."""

import _thread
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fer_engine import InputError
from fer_engine.vision import Pipeline
from grays import BOX, GrayEngine, box_of, grays

pytest.importorskip("cv2")
pytestmark = pytest.mark.usefixtures("no_thread_is_left")

TESTS = Path(__file__).parents[4]
FORGOTTEN = """
from fer_engine.vision import Pipeline
from grays import GrayEngine, box_of, grays

run = Pipeline(GrayEngine(), box_of, queue=2).run(grays(1000))
print(next(run).faces[0].label)
"""


def broken_source():
    yield from grays(6)
    raise InputError("the source broke")


def breaks_at_six(image):
    if image[0, 0, 0] == 6:
        raise InputError("the detector broke")
    return BOX


def gives_nonsense_at_six(image):
    return "nonsense" if image[0, 0, 0] == 6 else BOX


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


def test_a_source_that_hangs_does_not_hold_up_the_end():
    comes_back, closed = threading.Event(), threading.Event()

    def hangs():
        try:
            yield from grays(3)
            comes_back.wait(60)
            yield from grays(3)
        finally:
            closed.set()

    run = Pipeline(GrayEngine(), box_of).run(hangs())
    assert [next(run).frame.index for _ in range(3)] == [0, 1, 2]
    run.close()
    assert not closed.is_set()  # it hangs still
    comes_back.set()
    assert closed.wait(20)  # and is let go of once it comes back
    for thread in threading.enumerate():
        if thread.name == "fer-decode":
            thread.join(20)


def test_an_error_of_who_takes_the_results_ends_the_threads():
    def take():
        for analysis in Pipeline(GrayEngine(), box_of, queue=2).run(grays(10_000)):
            raise KeyError(analysis.frame.index)

    with pytest.raises(KeyError):
        take()  # the fixture looks for threads


def test_ctrl_c_while_waiting_ends_the_threads():
    ended = threading.Event()

    def stalls(image):
        if image[0, 0, 0] == 3:
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
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r}){FORGOTTEN}"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0\n", "")
