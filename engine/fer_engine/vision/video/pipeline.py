"""Frames in, expressions out, with every core at work."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.system.cpu import usable_cores
from fer_engine.vision.crop import MARGIN
from fer_engine.vision.detector import HaarDetector, YuNetDetector, as_boxes
from fer_engine.vision.expressions import check_classifier
from fer_engine.vision.face import FaceDetector
from fer_engine.vision.video.classify import Analyser
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.smooth import check_weight
from fer_engine.vision.video.threads import Run

QUEUE = 16


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Finds the faces and expressions in frames: decoding, detection and classification overlap.

    Frames are decoded in one thread, faces are detected in several, and one more follows them from frame to
    frame and gives those of all frames that are ready to the engine at once. Without a frame ready it waits
    for none: one frame alone is analysed right away.

    Args:
        engine: A classifier. It is not closed here.
        detector: What finds the faces; None for `HaarDetector()`.
        every: Detect in every n-th frame of a source, and follow the faces by optical flow in those between.
        margin: Share of a box's side added to the crop, as for `crop_faces`.
        smoothing: Weight of a face's earlier probabilities in the exponential average over its frames, from 0
            (off) to below 1.
        queue: Most frames that wait for analysis, and as many that wait to be taken from `run`; of large
            ones fewer wait, 256 MiB in all. None for 16, or with `live` for as many as there are detector
            threads: more would make results late, and gain nothing.
        detector_threads: Frames searched at once; None for one a core with this package's detectors, which
            several threads may call, and 1 with any other.
        live: Drop the frames that come while `queue` frames wait; the gaps in `Frame.index` tell how many
            were dropped. Otherwise the source waits.

    Raises:
        ConfigError: the engine's model is no classifier, or an option is out of its range.
    """

    engine: Engine
    detector: FaceDetector | None = None
    every: int = 1
    margin: float = MARGIN
    smoothing: float = 0.0
    queue: int | None = None
    detector_threads: int | None = None
    live: bool = False

    def __post_init__(self) -> None:
        check_classifier(self.engine.spec)
        check_weight(self.smoothing)
        for name in ("every", "queue", "detector_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")

    def run(self, frames: Iterable[Frame]) -> Generator[Analysis, None, None]:
        """Yield the analysis of each frame, in order.

        Frames of several sources may follow one another: tracks start anew with each. The threads end with
        the iterator, also where it is closed early, and `frames` is closed with it if it is a generator.
        Where the source hangs, its thread is left behind after half a second.

        Raises:
            InputError: the detector gave something other than boxes.
            BaseException: what `frames`, detector or engine raised, once the frames before are yielded.
        """
        detector = self.detector or HaarDetector()
        threads = self.detector_threads
        if threads is None:
            threads = usable_cores() if isinstance(detector, HaarDetector | YuNetDetector) else 1
        run = Run(
            frames,
            lambda image: as_boxes(detector(image), image),
            Analyser(self.engine, self.every > 1, self.margin, self.smoothing),
            every=self.every,
            queue=self.queue or (threads if self.live else QUEUE),
            detector_threads=threads,
            live=self.live,
        )
        try:
            yield from run.analyses()
        finally:
            run.stop()
