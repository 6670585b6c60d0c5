"""From pictures and videos to expressions; needs the extra `vision`."""

from fer_engine.vision.annotate import annotate
from fer_engine.vision.crop import MARGIN, crop_faces
from fer_engine.vision.detector import HaarDetector, YuNetDetector, as_boxes
from fer_engine.vision.expressions import find_expressions
from fer_engine.vision.face import Boxes, Face, FaceDetector, Picture
from fer_engine.vision.frame import Analysis, Frame
from fer_engine.vision.picture import MAX_PIXELS, read_picture
from fer_engine.vision.pipeline import Pipeline
from fer_engine.vision.source import frame_rate, frames
from fer_engine.vision.writer import VideoWriter

__all__ = [
    "MARGIN",
    "MAX_PIXELS",
    "Analysis",
    "Boxes",
    "Face",
    "FaceDetector",
    "Frame",
    "HaarDetector",
    "Picture",
    "Pipeline",
    "VideoWriter",
    "YuNetDetector",
    "annotate",
    "as_boxes",
    "crop_faces",
    "find_expressions",
    "frame_rate",
    "frames",
    "read_picture",
]
