"""YuNet: what its outputs stand for, on both backends, beside OpenCV's own."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.errors import BackendError, ConfigError, InputError
from fer_engine.vision import YuNetDetector, yunet_network
from fer_engine.vision.yunet import decode

BACKENDS = ("onnxruntime", "openvino")
REAL = Path(__file__).parents[5] / "shared" / "models" / "yunet.onnx"
STRIDES = (8, 16, 32)
CHANNELS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def write_yunet(path: Path, height: int | str, width: int | str) -> Path:
    """Write a network of YuNet's form, to which each cell of 8x8 blue pixels is a face of 32x32.

    A score is sqrt(cls * obj), a box's centre the cell's corner and its side stride * exp(value).
    """
    nodes, weights, outputs = [], [], []
    for stride in STRIDES:
        for kind, channels in CHANNELS.items():
            name = f"{kind}_{stride}"
            kernel = np.zeros((channels, 3, stride, stride), np.float32)
            bias = np.zeros(channels, np.float32)
            if stride == 8 and channels == 1:
                kernel[:, 0] = 1 / (255 * stride * stride)
            if kind == "bbox":
                bias[2:] = np.log(32 / stride)
            arrays = {"kernel": kernel, "bias": bias, "shape": np.array([1, -1, channels])}
            weights += [numpy_helper.from_array(array, f"{name}.{part}") for part, array in arrays.items()]
            inputs, sides = ["input", f"{name}.kernel", f"{name}.bias"], [stride, stride]
            nodes += [
                helper.make_node("Conv", inputs, [f"{name}.conv"], kernel_shape=sides, strides=sides),
                helper.make_node("Transpose", [f"{name}.conv"], [f"{name}.moved"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}.moved", f"{name}.shape"], [name]),
            ]
            fixed = isinstance(height, int)
            cells = (height // stride) * (width // stride) if fixed else f"cells_{stride}"
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, cells, channels]))
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, height, width])
    graph = helper.make_graph(nodes, "yunet", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    return write_yunet(tmp_path_factory.mktemp("yunet") / "fixed.onnx", 640, 640)


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    return write_yunet(tmp_path_factory.mktemp("yunet") / "free.onnx", "height", "width")


@pytest.fixture(params=["fixed", "free"])
def yunet(request):
    return request.getfixturevalue(request.param)


def blue_cells(height: int, width: int, *corners: tuple[int, int], side: int = 8) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for left, top in corners:
        image[top : top + side, left : left + side, 0] = 255
    return image


@pytest.mark.parametrize("backend", BACKENDS)
def test_faces_in_images_of_any_size(yunet, backend):
    detector = YuNetDetector(yunet, backend=backend)
    found = detector(blue_cells(480, 640, (200, 96), (40, 400)))
    assert found.boxes.tolist() == [[24, 384, 32, 32], [184, 80, 32, 32]]
    assert found.boxes.dtype == np.int32
    assert found.scores == pytest.approx([1, 1])
    assert detector(blue_cells(77, 100, (48, 32))).boxes.tolist() == [[32, 16, 32, 32]]
    assert detector(blue_cells(960, 1280, (400, 192), side=16)).boxes.tolist() == [[368, 160, 64, 64]]
    assert detector(blue_cells(1280, 960, (192, 400), side=16)).boxes.tolist() == [[160, 368, 64, 64]]
    assert detector(np.zeros((50, 60, 3), np.uint8)).boxes.shape == (0, 4)
    assert detector(blue_cells(1, 5000)).boxes.shape == (0, 4)
    assert detector(blue_cells(5000, 1)).scores.shape == (0,)


def test_an_input_that_is_fixed_to_an_oblong(tmp_path):
    detector = YuNetDetector(write_yunet(tmp_path / "oblong.onnx", 320, 640))
    assert detector(blue_cells(320, 640, (200, 96))).boxes.tolist() == [[184, 80, 32, 32]]
    upright = blue_cells(640, 320, (192, 400), side=16)  # its height is halved to 320
    assert detector(upright).boxes.tolist() == [[160, 368, 64, 64]]


def test_a_longest_side_of_one_s_own(free, fixed):
    image = blue_cells(640, 640, (192, 400), side=16)
    assert YuNetDetector(free, longest_side=320)(image).boxes.tolist() == [[160, 368, 64, 64]]
    assert YuNetDetector(fixed, longest_side=320)(image).boxes.tolist() == [[160, 368, 64, 64]]
    large = blue_cells(1280, 1280, (200, 96))
    assert YuNetDetector(free, longest_side=1280)(large).boxes.tolist() == [[184, 80, 32, 32]]
    with pytest.raises(ConfigError, match=r"fixed to 640 pixels, got a longest_side .* of 1280"):
        YuNetDetector(fixed, longest_side=1280)


def test_thresholds(free):
    dim = blue_cells(64, 64, (32, 32)) // 2  # a score of a half
    assert len(YuNetDetector(free)(dim).boxes) == 0
    assert YuNetDetector(free, score_threshold=0.4)(dim).scores == pytest.approx([127 / 255])
    near = blue_cells(64, 64, (24, 24), (32, 24))  # their intersection over union is 0.6
    assert len(YuNetDetector(free)(near).boxes) == 1
    far = blue_cells(64, 64, (16, 24), (32, 24))  # 0.33
    assert len(YuNetDetector(free)(far).boxes) == 1
    assert len(YuNetDetector(free, nms_threshold=0.4)(far).boxes) == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_threads_at_once(free, backend):
    detector = YuNetDetector(free, backend=backend)
    found = {}

    def detect(index):
        image = blue_cells(96 + 32 * index, 320, (8 * index, 32))
        found[index] = [detector(image).boxes.tolist() for _ in range(20)]

    threads = [threading.Thread(target=detect, args=(index,)) for index in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {index: [[[8 * index - 16, 16, 32, 32]]] * 20 for index in range(2, 6)}


def test_a_runtime_that_fails_is_told_with_the_size(free, monkeypatch):
    def fail(*_):
        raise RuntimeError("bad allocation")

    detector = YuNetDetector(free)
    monkeypatch.setattr(yunet_network.OnnxRuntimeYuNet, "__call__", fail)
    with pytest.raises(BackendError, match=r"128x64 pixels: bad allocation; .*--detect-size"):
        detector(np.zeros((60, 100, 3), np.uint8))


def outputs_of(height: int, width: int) -> dict[str, np.ndarray]:
    """Give outputs of an input of that size in which no cell is a face."""
    return {
        f"{kind}_{stride}": np.zeros((1, (height // stride) * (width // stride), channels), np.float32)
        for stride in STRIDES
        for kind, channels in CHANNELS.items()
    }


def test_decoding_of_one_cell():
    outputs = outputs_of(64, 96)
    cell = 2 * (96 // 16) + 3  # row 2, column 3 of the cells of 16 pixels
    outputs["cls_16"][0, cell], outputs["obj_16"][0, cell] = 0.9, 0.4
    outputs["bbox_16"][0, cell] = 0.5, -0.25, np.log(2), np.log(3)
    boxes, scores = decode(outputs, (64, 96), 0.5)
    assert scores == pytest.approx([0.6])
    assert boxes == pytest.approx(np.array([[56 - 16, 28 - 24, 32, 48]]), abs=1e-4)
    assert decode(outputs, (64, 96), 0.61)[0].shape == (0, 4)


def test_shares_are_clipped_to_those_of_probabilities():
    outputs = outputs_of(32, 32)
    outputs["cls_32"][:], outputs["obj_32"][:] = 4.0, 0.25
    assert decode(outputs, (32, 32), 0.1)[1] == pytest.approx([0.5])
    outputs["obj_32"][:] = -1
    assert len(decode(outputs, (32, 32), 0.1)[1]) == 0


@pytest.mark.parametrize(
    "broken",
    [
        (0, 0, 100, 0),  # exp is above float32
        (0, 0, -200, 0),  # exp is 0
        (np.inf, 0, 0, 0),
        (0, np.nan, 0, 0),
        (0, 0, 30, 30),  # finite, and many times the image
        (0, 0, -5, 0),  # less than a pixel
        (3e38, 0, 0, 0),
    ],
)
def test_boxes_that_no_face_can_have_are_left_out(broken):
    outputs = outputs_of(64, 64)
    outputs["cls_8"][0, :2] = outputs["obj_8"][0, :2] = 1
    outputs["bbox_8"][0, 0] = broken
    boxes, _ = decode(outputs, (64, 64), 0.6)
    assert boxes.tolist() == [[4, -4, 8, 8]]


def test_a_score_that_is_no_number_is_no_face():
    outputs = outputs_of(32, 32)
    outputs["cls_8"][:], outputs["obj_8"][:] = np.nan, 1
    assert len(decode(outputs, (32, 32), 0.0)[0]) == 16 + 4 + 1 - 16


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_yunet(tmp_path, backend):
    with pytest.raises(ConfigError, match="there is no YuNet file"):
        YuNetDetector(tmp_path / "gone.onnx", backend=backend)
    with pytest.raises(ConfigError, match="cannot be read"):
        YuNetDetector(tmp_path, backend=backend)
    junk, pointer, other = (tmp_path / f"{name}.onnx" for name in ("junk", "pointer", "other"))
    junk.write_bytes(b"junk" * 9)
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:8f2383\nsize 232589\n")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    other.write_bytes(model.SerializeToString())
    for path, reason in (
        (junk, f"{backend} cannot run it"),
        (pointer, "git lfs pull"),
        (other, "it has no output cls_8"),
        (write_yunet(tmp_path / "odd.onnx", 120, 160), "its input is 160x120, expected multiples of 32"),
    ):
        with pytest.raises(ConfigError, match=f"{path.name} is .*{reason}") as raised:
            YuNetDetector(path, backend=backend)
        assert "\n" not in str(raised.value)


def test_settings_out_of_range(free):
    for settings, message in (
        ({"score_threshold": 2}, "score_threshold must be from 0 to 1, got 2"),
        ({"nms_threshold": -1}, "nms_threshold must be from 0 to 1, got -1"),
        ({"longest_side": 0}, "longest_side must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"backend": "tensorrt"}, "backends onnxruntime and openvino, got 'tensorrt'"),
    ):
        with pytest.raises(ConfigError, match=message):
            YuNetDetector(free, **settings)
    with pytest.raises(InputError, match=r"uint8 \[height, width, 3\]"):
        YuNetDetector(free)(np.zeros((64, 64), np.uint8))


def test_a_runtime_that_is_not_installed(free, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    monkeypatch.delitem(__import__("sys").modules, "fer_engine.backends.openvino.backend", raising=False)
    with pytest.raises(BackendError, match=r"pip install 'fer-engine\[openvino\]'"):
        YuNetDetector(free, backend="openvino")


@pytest.fixture(scope="module")
def real():
    if not REAL.is_file():
        pytest.skip(f"needs YuNet's weights, which are not shipped, at {REAL}")
    return REAL


@pytest.fixture(scope="module")
def real_fixed(real, tmp_path_factory):
    """Give the network with an input fixed to 640x640, as the file of 2023 has."""
    model = onnx.load(real)
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 640
    path = tmp_path_factory.mktemp("yunet") / "real.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def together(astronaut, hopper):
    return np.hstack([astronaut[:480, :400], hopper[:480, :333]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_finds_what_opencv_finds(real, backend, astronaut, hopper, together):
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "FaceDetectorYN"):
        pytest.skip(f"OpenCV {cv2.__version__} has no FaceDetectorYN")
    for image in (astronaut, hopper, together):
        reference = cv2.FaceDetectorYN.create(str(real), "", image.shape[1::-1], 0.6, 0.3)
        _, expected = reference.detect(image)
        expected = expected[np.argsort(expected[:, 0])]
        found = YuNetDetector(real, longest_side=max(image.shape), backend=backend)(image)
        assert found.boxes == pytest.approx(expected[:, :4], abs=1)
        assert found.scores == pytest.approx(expected[:, 14], abs=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fixed_input_finds_what_a_free_one_finds(real, real_fixed, backend, together):
    for image in (
        together,
        np.ascontiguousarray(together[:, 300:]),
        np.kron(together, np.ones((2, 2, 1), np.uint8)),
    ):
        free = YuNetDetector(real, backend=backend)(image)
        fixed = YuNetDetector(real_fixed, backend=backend)(image)
        assert len(free.boxes) >= 1
        assert fixed.boxes == pytest.approx(free.boxes, abs=2)
        assert fixed.scores == pytest.approx(free.scores, abs=0.02)
