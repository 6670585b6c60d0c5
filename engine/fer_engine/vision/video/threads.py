"""The threads of a pipeline: one reads frames, several detect faces, one classifies."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fer_engine.vision.face import Detections
from fer_engine.vision.image import Image
from fer_engine.vision.video.classify import Analyser, DetectedFrame
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.queue import ByteBudget, Channel, Closed
from fer_engine.vision.video.scene import SceneChange

# For the frames between source and result: 7 of 12 megapixels, or 40 of Full HD. More would not keep more
# cores busy, because decoding limits the throughput of images of that size.
MAX_FRAME_BYTES = 2**28
STOP_SECONDS = 0.5  # how long `stop` waits for the source, which may be a camera that hangs


@dataclass(frozen=True, slots=True)
class _PendingFrame:
    """A frame whose faces are being detected; `detection` is None where they are to be followed instead."""

    frame: Frame
    detection: Future[Detections] | None
    first: bool
    cut: bool

    def is_ready(self) -> bool:
        """Whether the detection succeeded; a failed one is not ready, so that earlier frames come first."""
        return self.detection is None or (self.detection.done() and not self.detection.exception())

    def detected(self) -> DetectedFrame:
        """Wait for the faces; raises what the detector raised."""
        found = self.detection.result() if self.detection else None
        return DetectedFrame(self.frame, found, self.first, self.cut)


class PipelineRun:
    """Runs a pipeline once: one thread reads frames, `detector_threads` detect faces, one classifies.

    The futures of the detections wait in a bounded channel in the order of the frames. So the results are in
    order whichever detection ends first, and the source waits when the classifier is slower.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        detect: Callable[[Image], Detections],
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
        self._pending: Channel[_PendingFrame] = Channel(queue)
        self._done: Channel[Analysis] = Channel(queue)
        self._budget = ByteBudget(MAX_FRAME_BYTES)
        self._detectors = ThreadPoolExecutor(detector_threads, "fer-detect")
        # Daemons that are stopped at exit: a program with an unfinished run can still end.
        self._decoder = threading.Thread(target=self._read_frames, name="fer-decode", daemon=True)
        self._classifier = threading.Thread(target=self._classify, name="fer-classify", daemon=True)

    def analyses(self) -> Iterator[Analysis]:
        """Start the threads and yield the analyses; raises what any of the threads raised."""
        atexit.register(self.stop)
        self._decoder.start()
        self._classifier.start()
        while True:
            try:
                analysis = self._done.get()
            except Closed:
                return
            self._budget.release(analysis.frame.image.nbytes)
            yield analysis

    def stop(self) -> None:
        """End the threads, each after its current frame.

        If the source hangs, its thread is left behind: it ends with the program, or once the source returns.
        """
        self._budget.close()
        self._pending.cancel()
        self._done.cancel()
        self._detectors.shutdown(cancel_futures=True)
        if self._classifier.ident is not None:  # the last one to start
            self._classifier.join()
            self._decoder.join(STOP_SECONDS)
        atexit.unregister(self.stop)

    def _read_frames(self) -> None:
        try:
            self._submit_all()
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised to whoever iterates
            self._pending.finish(error)
        else:
            self._pending.finish()
        finally:
            _close_generator(self._frames)

    def _submit_all(self) -> None:
        source, count, scene_change = None, 0, SceneChange()
        for frame in self._frames:
            size = frame.image.nbytes
            if self._live and (self._pending.full or not self._budget.fits(size)):
                continue
            self._budget.acquire(size)
            if first := frame.index == 0 or frame.source != source:
                source, count, scene_change = frame.source, 0, SceneChange()
            if cut := scene_change(frame.image):
                count = 0  # who is in the new scene must be detected
            with_detection = count % self._every == 0
            detection = self._detectors.submit(self._detect, frame.image) if with_detection else None
            self._pending.put(_PendingFrame(frame, detection, first, cut))
            count += 1

    def _classify(self) -> None:
        try:
            while True:
                group = [self._pending.get().detected()]
                while (ready := self._pending.get_if(_PendingFrame.is_ready)) is not None:
                    group.append(ready.detected())
                for analysis in self._analyser.analyse(group):
                    self._done.put(analysis)
        except (Closed, CancelledError):
            self._done.finish()
        except BaseException as error:  # noqa: BLE001 - raised to whoever iterates
            self._done.finish(error)


def _close_generator(frames: Any) -> None:
    """Close a generator in the thread that ran it, so that it releases its file or camera."""
    close = getattr(frames, "close", None)
    if close is not None:
        close()
