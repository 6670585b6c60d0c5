"""Real faces found, and the answers of any detector checked."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.errors import ConfigError, InputError
from fer_engine.vision import HaarDetector, YuNetDetector, as_boxes

IMAGE = np.zeros((100, 200, 3), np.uint8)


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
    monkeypatch.setattr("fer_engine.vision.detector.MIN_FINDS", 1000)  # as if the second cascade never had it
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


def test_boxes_are_rounded_clipped_and_sorted():
    found = [[150.4, 20, 10, 10], [-5, -5, 20.6, 20], [150, 10, 10, 10], [190, 90, 1e12, 1e12]]
    assert as_boxes(found, IMAGE).tolist() == [
        [0, 0, 16, 15],
        [150, 10, 10, 10],
        [150, 20, 10, 10],
        [190, 90, 10, 10],
    ]


@pytest.mark.parametrize("box", [(-20, 5, 10, 10), (200, 5, 10, 10), (5, 100, 10, 10), (5, 5, 0.2, 10)])
def test_a_box_without_a_pixel_in_the_image_is_left_out(box):
    assert as_boxes([box, (1, 2, 3, 4)], IMAGE).tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("found", [(), [], np.empty((0, 4)), np.empty(0), np.empty((0, 4), np.int32)])
def test_nothing_found(found):
    boxes = as_boxes(found, IMAGE)
    assert (boxes.shape, boxes.dtype) == ((0, 4), np.int32)


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (None, "the detector gave NoneType; expected boxes as numbers"),
        ("faces", "the detector gave <U5"),
        ([1, 2, 3, 4], r"the detector gave int64 \[4\]"),
        ([[1, 2, 3]], r"the detector gave int64 \[1, 3\]"),
        ([[1, 2, 3, 4], [1, 2]], "the detector gave list"),
        (np.ones((1, 4), bool), r"the detector gave bool \[1, 4\]"),
        ([[1, 2, 3, 4], [1, 2, float("nan"), 4]], r"box 1 is \[1.0, 2.0, nan, 4.0\]; expected"),
        ([[1, 2, float("inf"), 4]], "box 0 is"),
        ([[1, 2, 3, 0]], "with a width and height above 0"),
        ([[1, 2, -3, 4]], "with a width and height above 0"),
    ],
)
def test_answers_that_are_no_boxes(found, error):
    with pytest.raises(InputError, match=error):
        as_boxes(found, IMAGE)


def test_thousands_of_boxes():
    found = np.random.default_rng(0).uniform(1, 90, (5000, 4))
    boxes = as_boxes(found, IMAGE)
    assert len(boxes) == 5000
    assert (np.diff(boxes[:, 0]) >= 0).all()


@pytest.fixture(scope="module")
def yunet(tmp_path_factory):
    """Give a network of YuNet's form, to which each cell of 8x8 blue pixels is a face of 32x32.

    A score is sqrt(cls * obj), a box's centre the cell's corner and its side stride * exp(value).
    """
    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        for name, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            output = f"{name}_{stride}"
            kernel = np.zeros((channels, 3, stride, stride), np.float32)
            bias = np.zeros(channels, np.float32)
            if stride == 8 and channels == 1:
                kernel[:, 0] = 1 / (255 * stride * stride)
            if name == "bbox":
                bias[2:] = np.log(32 / stride)
            shape = np.array([1, -1, channels])
            weights += [
                numpy_helper.from_array(array, f"{output}.{part}")
                for part, array in (("kernel", kernel), ("bias", bias), ("shape", shape))
            ]
            convolved, moved = f"{output}.convolved", f"{output}.moved"
            inputs = ["input", f"{output}.kernel", f"{output}.bias"]
            nodes += [
                helper.make_node(
                    "Conv", inputs, [convolved], kernel_shape=[stride] * 2, strides=[stride] * 2
                ),
                helper.make_node("Transpose", [convolved], [moved], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [moved, f"{output}.shape"], [output]),
            ]
            cells = (640 // stride) ** 2
            outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, cells, channels]))
    faces = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])
    graph = helper.make_graph(nodes, "yunet", [faces], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path_factory.mktemp("yunet") / "yunet.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def blue_cells(height: int, width: int, *corners: tuple[int, int], side: int = 8) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for left, top in corners:
        image[top : top + side, left : left + side, 0] = 255
    return image


def test_yunet_finds_faces_in_images_of_any_size(yunet):
    detector = YuNetDetector(yunet)
    assert detector(blue_cells(480, 640, (200, 96), (40, 400))).tolist() == [
        [24, 384, 32, 32],
        [184, 80, 32, 32],
    ]
    assert detector(blue_cells(77, 100, (48, 32))).tolist() == [[32, 16, 32, 32]]
    assert detector(blue_cells(960, 1280, (400, 192), side=16)).tolist() == [[368, 160, 64, 64]]
    assert detector(np.zeros((50, 60, 3), np.uint8)).shape == (0, 4)
    assert detector(blue_cells(1, 5000)).shape == (0, 4)


def test_yunet_thresholds(yunet):
    dim = blue_cells(64, 64, (32, 32)) // 2  # a score of a half
    assert len(YuNetDetector(yunet)(dim)) == 0
    assert len(YuNetDetector(yunet, score_threshold=0.4)(dim)) == 1
    near = blue_cells(64, 64, (24, 24), (32, 24))
    assert len(YuNetDetector(yunet)(near)) == 1
    assert len(YuNetDetector(yunet, nms_threshold=0.9)(near)) == 2


def test_what_is_no_yunet(tmp_path):
    with pytest.raises(ConfigError, match="there is no YuNet file"):
        YuNetDetector(tmp_path / "gone.onnx")
    junk, other = tmp_path / "junk.onnx", tmp_path / "other.onnx"
    junk.write_bytes(b"junk" * 9)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    other.write_bytes(model.SerializeToString())
    for path in (junk, other):
        with pytest.raises(ConfigError, match=f"{path.name} is no YuNet that OpenCV .* can run") as raised:
            YuNetDetector(path)
        assert "\n" not in str(raised.value)


def test_yunet_settings_out_of_range(yunet):
    with pytest.raises(ConfigError, match="score_threshold must be from 0 to 1, got 2"):
        YuNetDetector(yunet, score_threshold=2)
    with pytest.raises(ConfigError, match="longest_side must be at least 1, got 0"):
        YuNetDetector(yunet, longest_side=0)
