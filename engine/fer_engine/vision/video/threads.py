"""The threads of one run of a pipeline."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fer_engine.vision.face import Boxes
from fer_engine.vision.image import Image
from fer_engine.vision.video.classify import Analyser, Searched
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.queue import Channel, Closed, Room

# Of the images that were taken from the source and not yet handed over: 7 of 12 megapixels, 40 of Full HD.
# More would not keep more cores at work, for what an image of that size waits for is its decoding.
WAITING_BYTES = 2**28
STOP_SECONDS = 0.5  # how long a stop waits for the source, which may be a camera that never answers again


@dataclass(frozen=True, slots=True)
class Waiting:
    """A frame whose boxes are being detected, or, with None, that needs none."""

    frame: Frame
    detection: Future[Boxes] | None
    first: bool

    def ready(self) -> bool:
        """Whether its boxes are there. After an error it is not, so that the frames before come out first."""
        return self.detection is None or (self.detection.done() and not self.detection.exception())

    def searched(self) -> Searched:
        """Wait for the boxes; raises what the detector raised."""
        return Searched(self.frame, self.detection.result() if self.detection else None, self.first)


class Run:
    """Three kinds of threads: one takes the frames, `detector_threads` detect, one analyses.

    The futures of the detections wait in order in a bounded channel, so that results are in order whichever
    detection is done first, and the source waits where the analysis does not keep up.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        detect: Callable[[Image], Boxes],
        analyser: Analyser,
        *,
        every: int,
        queue: int,
        detector_threads: int,
        live: bool,
    ) -> None:
        self._frames = frames
        self._detect = detect
        self._analyser = analyser
        self._every = every
        self._live = live
        self._waiting: Channel[Waiting] = Channel(queue)
        self._done: Channel[Analysis] = Channel(queue)
        self._room = Room(WAITING_BYTES)
        self._detectors = ThreadPoolExecutor(detector_threads, "fer-detect")
        # Daemons, and ended at exit: a program that forgets an unfinished run can end all the same.
        self._decoder = threading.Thread(target=self._take_frames, name="fer-decode", daemon=True)
        self._classifier = threading.Thread(target=self._analyse, name="fer-classify", daemon=True)

    def analyses(self) -> Iterator[Analysis]:
        """Start the threads and yield what they make; raises what went wrong in any of them."""
        atexit.register(self.stop)
        self._decoder.start()
        self._classifier.start()
        while True:
            try:
                analysis = self._done.get()
            except Closed:
                return
            self._room.free(analysis.frame.image.nbytes)
            yield analysis

    def stop(self) -> None:
        """End the threads, each as soon as it is through with the frame at hand.

        One whose source hangs is left behind: it ends with the program, or once its source comes back.
        """
        self._room.give_up()
        self._waiting.give_up()
        self._done.give_up()
        self._detectors.shutdown(cancel_futures=True)
        if self._classifier.ident is not None:  # the last one to start
            self._classifier.join()
            self._decoder.join(STOP_SECONDS)
        atexit.unregister(self.stop)

    def _take_frames(self) -> None:
        try:
            self._submit_all()
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised to whoever iterates
            self._waiting.finish(error)
        else:
            self._waiting.finish()
        finally:
            _close(self._frames)

    def _submit_all(self) -> None:
        source, taken = None, 0
        for frame in self._frames:
            size = frame.image.nbytes
            if self._live and (self._waiting.full or not self._room.has(size)):
                continue
            self._room.take(size)
            if first := frame.index == 0 or frame.source != source:
                source, taken = frame.source, 0
            searched = taken % self._every == 0
            detection = self._detectors.submit(self._detect, frame.image) if searched else None
            self._waiting.put(Waiting(frame, detection, first))
            taken += 1

    def _analyse(self) -> None:
        try:
            while True:
                group = [self._waiting.get().searched()]
                while (waiting := self._waiting.get_if(Waiting.ready)) is not None:
                    group.append(waiting.searched())
                for analysis in self._analyser.analyse(group):
                    self._done.put(analysis)
        except (Closed, CancelledError):
            self._done.finish()
        except BaseException as error:  # noqa: BLE001 - raised to whoever iterates
            self._done.finish(error)


def _close(frames: Any) -> None:
    """End a generator in the thread that ran it, so that it lets go of its file or camera."""
    close = getattr(frames, "close", None)
    if close is not None:
        close()
