"""YuNet on a network of its form."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.errors import ConfigError
from fer_engine.vision import YuNetDetector


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
