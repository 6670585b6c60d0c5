"""From images and videos to expressions; needs the extra `vision`."""

from fer_engine.vision.analyze import ImageResult, analyze
from fer_engine.vision.annotate import annotate
from fer_engine.vision.boxes import as_boxes, as_detections
from fer_engine.vision.crop import MARGIN, crop_faces
from fer_engine.vision.expressions import find_expressions
from fer_engine.vision.face import UNCERTAIN, Boxes, Detections, Face, FaceDetector
from fer_engine.vision.finder.finder import FaceFinder
from fer_engine.vision.haar import HaarDetector
from fer_engine.vision.image import MAX_PIXELS, Image, read_image
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.pipeline import Pipeline
from fer_engine.vision.video.source import frame_rate, frames
from fer_engine.vision.video.writer import VideoWriter
from fer_engine.vision.yunet import YuNetDetector

Picture = Image  # the older name
read_picture = read_image  # the older name

__all__ = [
    "MARGIN",
    "MAX_PIXELS",
    "UNCERTAIN",
    "Analysis",
    "Boxes",
    "Detections",
    "Face",
    "FaceDetector",
    "FaceFinder",
    "Frame",
    "HaarDetector",
    "Image",
    "ImageResult",
    "Picture",
    "Pipeline",
    "VideoWriter",
    "YuNetDetector",
    "analyze",
    "annotate",
    "as_boxes",
    "as_detections",
    "crop_faces",
    "find_expressions",
    "frame_rate",
    "frames",
    "read_image",
    "read_picture",
]
