"""The pipeline from frames to expressions, which uses all cores."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.system.cpu import usable_cores
from fer_engine.vision.boxes import as_detections
from fer_engine.vision.crop import MARGIN
from fer_engine.vision.detectors import default_detector, serves_threads
from fer_engine.vision.expressions import check_min_confidence, check_min_face_score
from fer_engine.vision.face import FaceDetector
from fer_engine.vision.video.classify import Analyser
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.smooth import check_weight
from fer_engine.vision.video.threads import PipelineRun

QUEUE = 16


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Finds the faces and expressions in frames: decoding, detection and classification overlap.

    One thread decodes frames, several detect faces, and one more tracks the faces from frame to frame and
    classifies those of all frames that are ready in one batch. It does not wait for a batch to fill: a single
    frame is classified at once.

    At a cut of scene (see `fer_engine.vision.video.scene`) the faces are detected and get new track numbers.

    Args:
        engine: A classifier. The pipeline does not close it.
        detector: Finds the faces; None for `detectors.default_detector`.
        every: Detect in every n-th frame of a source, and follow the faces by optical flow in the others.
        margin: Added at each side of a box, as a share of its longer side; see `crop_faces`.
        smoothing: Weight of a face's earlier probabilities in the exponential average over its frames, from 0
            (off) to below 1.
        min_confidence: A face whose highest probability, after smoothing, is below gets the label
            "uncertain"; 0 for never.
        min_face_score: As for `find_expressions`.
        queue: Most frames that wait for classification, and most results that wait to be taken from `run`;
            large frames wait in smaller numbers, 256 MiB in all. None for 16, or with `live` for the number
            of detector threads: more would delay the results and gain nothing.
        detector_threads: Frames in detection at once; None for the number of cores with this package's
            detectors, which several threads may call, and for 1 with any other.
        live: Drop the frames that arrive while `queue` frames wait, instead of making the source wait. Gaps
            in `Frame.index` show how many were dropped.

    Raises:
        ConfigError: the engine's model is no classifier, or an option is out of range.
    """

    engine: Engine
    detector: FaceDetector | None = None
    every: int = 1
    margin: float = MARGIN
    smoothing: float = 0.0
    queue: int | None = None
    detector_threads: int | None = None
    live: bool = False
    min_confidence: float = 0.0
    min_face_score: float | None = None

    def __post_init__(self) -> None:
        check_min_confidence(self.engine.spec, self.min_confidence)
        check_min_face_score(self.min_face_score)
        check_weight(self.smoothing)
        for name in ("every", "queue", "detector_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")

    def run(self, frames: Iterable[Frame]) -> Generator[Analysis, None, None]:
        """Yield the analysis of each frame, in order.

        Frames of several sources may follow one another: tracks start anew with each source. The threads end
        with the iterator, also when it is closed early; `frames` is closed with it if it is a generator. If
        the source hangs, its thread is left behind after half a second.

        Raises:
            InputError: the detector returned something other than boxes, or has no scores and
                `min_face_score` is given.
            BaseException: what `frames`, the detector or the engine raised, after the earlier frames.
        """
        detector = self.detector or default_detector(self.min_face_score)
        threads = self.detector_threads
        if threads is None:
            threads = usable_cores() if serves_threads(detector) else 1
        run = PipelineRun(
            frames,
            lambda image: as_detections(detector(image), image, self.min_face_score),
            Analyser(self.engine, self.every > 1, self.margin, self.smoothing, self.min_confidence),
            every=self.every,
            queue=self.queue or (threads if self.live else QUEUE),
            detector_threads=threads,
            live=self.live,
        )
        try:
            yield from run.analyses()
        finally:
            run.stop()
