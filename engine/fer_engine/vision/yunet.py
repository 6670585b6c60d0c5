"""YuNet as a face detector, from a file that you give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_engine.errors import ConfigError, first_line
from fer_engine.vision.boxes import in_full_size
from fer_engine.vision.face import Boxes
from fer_engine.vision.haar import Pool
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import name_for_opencv, opencv
from fer_engine.vision.options import check_positive, check_share
from fer_engine.vision.resize import shrink


class YuNetDetector:
    """Finds faces, also turned and partly hidden ones, by the network YuNet from a file that you give.

    Safe to call from several threads.

    Source: W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023.
    """

    def __init__(
        self,
        path: Path | str,
        longest_side: int = 640,
        score_threshold: float = 0.9,
        nms_threshold: float = 0.3,
    ) -> None:
        """Load the network.

        Args:
            path: The ONNX file, such as face_detection_yunet_2023mar.onnx of OpenCV's model zoo.
            longest_side: Larger images are shrunk to this longest side, in pixels, before the search.
            score_threshold: Lowest confidence of a face, from 0 to 1.
            nms_threshold: Of two faces with a larger intersection over union, the less confident is dropped.

        Raises:
            ConfigError: the file is missing or no YuNet, a value is out of range, or OpenCV is not installed.
        """
        check_positive(longest_side=longest_side)
        check_share(score_threshold=score_threshold, nms_threshold=nms_threshold)
        self._path = Path(path)
        self._longest_side = longest_side
        self._thresholds = (score_threshold, nms_threshold)
        if not self._path.is_file():
            raise ConfigError(f"there is no YuNet file {path}; give the path of its ONNX file")
        cv2 = opencv()
        try:
            self._networks = Pool(self._load)
            self(np.zeros((64, 64, 3), np.uint8))  # fails now if the file is another network
        except cv2.error as error:
            raise ConfigError(
                f"{path} is no YuNet that OpenCV {cv2.__version__} can run: {first_line(error)}; "
                "expected the ONNX file of a YuNet, such as face_detection_yunet_2023mar.onnx"
            ) from error

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes of the faces in an image, uint8 [height, width, 3] in BGR, from left to right.

        Raises:
            InputError: it is no such image.
        """
        small = shrink(check_image(image), self._longest_side)
        with self._networks.borrow() as network:
            network.setInputSize((small.shape[1], small.shape[0]))
            _, found = network.detect(small)
        # A row is the box, five landmarks and the score; `found` is None where there is no face.
        boxes = np.empty((0, 4)) if found is None else found[:, :4]
        return in_full_size(boxes, small, image)

    def _load(self) -> Any:
        side = (self._longest_side, self._longest_side)
        return opencv().FaceDetectorYN.create(name_for_opencv(self._path), "", side, *self._thresholds)
