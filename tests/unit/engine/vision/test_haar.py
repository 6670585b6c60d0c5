"""Real faces found by the Haar cascades."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from fer_engine.errors import ConfigError, InputError
from fer_engine.vision import HaarDetector


def overlap(box: np.ndarray, other: tuple[int, int, int, int]) -> float:
    """Intersection over union."""
    low = np.maximum(box[:2], other[:2])
    high = np.minimum(box[:2] + box[2:], np.add(other[:2], other[2:]))
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (np.prod(box[2:]) + np.prod(other[2:]) - shared)


def test_real_faces_are_found(astronaut, hopper):
    detector = HaarDetector()
    for image, face in ((astronaut, (172, 75, 105, 115)), (hopper, (165, 120, 210, 215))):
        (box,) = detector(image)
        assert overlap(box, face) > 0.6


@pytest.mark.parametrize("quality", [95, 80, 60])
def test_a_doubtful_find_is_looked_at_again(astronaut, quality):
    """As a JPEG her suit has a face in it, for one cascade, but not for the other."""
    photo = cv2.imdecode(cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    (box,) = HaarDetector()(photo)
    assert overlap(box, (172, 75, 105, 115)) > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("corner", [(0, 0), (60, 160)])  # the second cuts off what is around her face
def test_a_doubtful_find_that_is_a_face_stays(astronaut, monkeypatch, corner):
    image = np.ascontiguousarray(astronaut[corner[0] :, corner[1] :])

    def most_neighbors():
        return max(count for count in range(1, 40) if len(HaarDetector(min_neighbors=count)(image)))

    confirmed = most_neighbors()
    monkeypatch.setattr("fer_engine.vision.haar.MIN_FINDS", 1000)  # as if the second cascade never had it
    assert most_neighbors() == confirmed - 1


def test_several_faces_come_from_left_to_right(astronaut, hopper):
    side_by_side = np.hstack([hopper[:512], astronaut, hopper[:512, ::-1]])
    found = HaarDetector(longest_side=640)(side_by_side)
    assert found.dtype == np.int32
    assert [box[0] // 512 for box in found] == [0, 1, 2]


@pytest.mark.parametrize("scale", [0.5, 3])
def test_boxes_are_in_the_images_own_pixels(astronaut, scale):
    scaled = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (box,) = HaarDetector()(scaled)
    assert overlap(box / scale, (172, 75, 105, 115)) > 0.6


def test_the_smallest_face_can_be_chosen(astronaut):
    small = cv2.copyMakeBorder(astronaut, 0, 1024, 0, 1024, cv2.BORDER_REPLICATE)
    assert len(HaarDetector()(small)) == 0
    (box,) = HaarDetector(longest_side=640)(small)
    assert overlap(box, (172, 75, 105, 115)) > 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 2), (30, 30), (480, 640)])
def test_no_face_is_no_box(shape):
    found = HaarDetector()(np.full((*shape, 3), 90, np.uint8))
    assert (found.shape, found.dtype) == ((0, 4), np.int32)


def test_one_detector_serves_several_threads(astronaut, hopper):
    detector = HaarDetector()
    images = [astronaut, hopper, astronaut[:, ::-1].copy(), hopper[:, ::-1].copy()]
    expected = [detector(image).tolist() for image in images]
    found: list[list[list[int]]] = [[] for _ in images]

    def work(index: int) -> None:
        found[index] = [detector(images[index]).tolist() for _ in range(3)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[boxes] * 3 for boxes in expected]


@pytest.mark.parametrize("missing", ["class", "files"])
def test_an_opencv_without_cascades_names_the_pin(monkeypatch, tmp_path, missing):
    if missing == "class":
        monkeypatch.delattr(cv2, "CascadeClassifier")
    else:
        monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(ConfigError, match=r"without Haar cascades.*pip install 'opencv-python>=4\.8,<5'"):
        HaarDetector()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"longest_side": 0}, "longest_side must be at least 1, got 0"),
        ({"min_size": 0}, "min_size must be at least 1, got 0"),
        ({"longest_side": 23}, "longest_side must be at least min_size, which is 24, got 23"),
        ({"min_neighbors": 0}, "min_neighbors must be at least 1, got 0"),
        ({"scale_factor": 1.0}, "scale_factor must be above 1, got 1.0"),
        ({"scale_factor": float("nan")}, "scale_factor must be above 1, got nan"),
    ],
)
def test_settings_out_of_range(options, error):
    with pytest.raises(ConfigError, match=error):
        HaarDetector(**options)


def test_an_image_of_another_kind_is_refused():
    with pytest.raises(InputError, match="an image must be uint8"):
        HaarDetector()(np.zeros((48, 48), np.uint8))
