"""ONNX files as other exporters leave them: each gives the answers of the graph that it was made from."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_export.graph.layers import find_layers, find_products
from fer_export.source.load import OnnxFile, source_from_onnx
from fer_export.verify.check import check_interface, verify_graphs
from fer_export.verify.samples import synthetic_samples

LABELS = ("calm", "glad", "tense")
SPEC = ModelSpec("given", labels=LABELS, height=8, width=6, mean=(10.0,), scale=(255.0,))
BYTES = ModelSpec("given", labels=LABELS, height=8, width=6, mean=(0.0,), scale=(1.0,))
GENERATOR = np.random.default_rng(5)
FACES = GENERATOR.integers(0, 256, (5, 8, 6), dtype=np.uint8)
WEIGHTS = {
    "kernel": (GENERATOR.standard_normal((4, 1, 3, 3)) / 3).astype(np.float32),
    "dense": GENERATOR.standard_normal((4, 3)).astype(np.float32),
    "rows": np.array([-1, 4]),
}


def body(taken: str = "x", given: str = "y") -> list[onnx.NodeProto]:
    """Return a convolution, a mean and a product of matrices: [n, 1, 8, 6] to [n, 3]."""
    return [
        helper.make_node("Conv", [taken, "kernel"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Reshape", ["c", "rows"], ["d"]),
        helper.make_node("MatMul", ["d", "dense"], [given]),
    ]


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.fixture
def export(tmp_path):
    """Write a graph and export it."""

    def write(nodes, taken, given, outputs="logits", spec=SPEC, weights=WEIGHTS, opset=17, ir=8, **options):
        used = {name for node in nodes for name in node.input}
        constants = [numpy_helper.from_array(v, k) for k, v in weights.items() if k in used]
        extra = [tensor(c.name, c.dims, c.data_type) for c in constants] if ir == 3 else []
        graph = helper.make_graph(nodes, "g", [taken, *extra], given, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        onnx.save(model, tmp_path / "given.onnx")
        return source_from_onnx(OnnxFile(tmp_path / "given.onnx", spec, outputs, **options))

    return write


def run(graph: onnx.ModelProto, faces=FACES):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"faces": faces})[0]


def expected(spec=SPEC, weights=WEIGHTS):
    """Compute the body's logits by ONNX Runtime from the plain graph."""
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(body(), "g", [tensor("x", ["n", 1, 8, 6])], [tensor("y", ["n", 3])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = (FACES[:, None].astype(np.float32) - np.float32(spec.mean[0])) / np.float32(spec.scale[0])
    return session.run(None, {"x": pixels})[0]


def check(source, wanted, atol=1e-5):
    check_interface(source.graph, source.spec)
    np.testing.assert_allclose(run(source.graph), wanted, atol=atol)
    np.testing.assert_allclose(source.logits(FACES), wanted, atol=atol)


def test_channels_may_come_last(export):
    nodes = [helper.make_node("Transpose", ["t"], ["x"], perm=[0, 3, 1, 2]), *body()]
    check(export(nodes, tensor("t", ["n", 8, 6, 1]), [tensor("y", ["n", 3])]), expected())


def test_raw_bytes_may_go_in_where_the_spec_changes_no_pixel(export):
    nodes = [helper.make_node("Cast", ["u"], ["x"], to=TensorProto.FLOAT), *body()]
    given = [tensor("y", ["n", 3])]
    taken = tensor("u", ["n", 1, 8, 6], TensorProto.UINT8)
    check(export(nodes, taken, given, spec=BYTES), expected(BYTES), atol=1e-2)
    with pytest.raises(ConfigError, match="uint8 goes with the mean 0 and the scale 1"):
        export(nodes, taken, given)


def test_the_form_of_2018_with_weights_as_inputs_is_taken(export):
    source = export(body(), tensor("x", [1, 1, 8, 6]), [tensor("y", [1, 3])], opset=8, ir=3)
    check(source, expected())
    assert [value.name for value in source.graph.graph.input] == ["faces"]


def test_float16_is_raised_to_float32_and_told(export):
    halves = {name: v.astype(np.float16) if v.dtype == np.float32 else v for name, v in WEIGHTS.items()}
    source = export(
        body(),
        tensor("x", ["n", 1, 8, 6], TensorProto.FLOAT16),
        [tensor("y", ["n", 3], TensorProto.FLOAT16)],
        weights=halves,
    )
    widened = {name: v.astype(np.float32) if v.dtype == np.float16 else v for name, v in halves.items()}
    check(source, expected(weights=widened))
    assert source.made["given_precision"] == "fp16, raised to fp32"
    assert all(entry.data_type != TensorProto.FLOAT16 for entry in source.graph.graph.initializer)


def test_a_quantized_file_is_refused_by_that_name(export):
    nodes = body()
    nodes[4] = helper.make_node("MatMul", ["e", "dense"], ["y"])
    scale = {"s": np.float32(0.1), "z": np.uint8(0)}
    nodes[4:4] = [
        helper.make_node("QuantizeLinear", ["d", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["e"]),
    ]
    with pytest.raises(
        ConfigError, match=r"quantized already .DequantizeLinear, QuantizeLinear., expected fl"
    ):
        export(nodes, tensor("x", ["n", 1, 8, 6]), [tensor("y", ["n", 3])], weights=WEIGHTS | scale)


def test_outputs_of_four_axes_are_flattened(export):
    nodes = [*body()[:3], helper.make_node("Conv", ["c", "last"], ["y"])]
    last = {"last": WEIGHTS["dense"].T.reshape(3, 4, 1, 1).copy()}
    source = export(nodes, tensor("x", ["n", 1, 8, 6]), [tensor("y", ["n", 3, 1, 1])], weights=WEIGHTS | last)
    check(source, expected())


def test_one_of_several_outputs_is_chosen_by_name(export):
    given = [tensor("c", ["n", 4, 1, 1]), tensor("y", ["n", 3])]
    check(export(body(), tensor("x", ["n", 1, 8, 6]), given, output="y"), expected())


@pytest.mark.parametrize("form", ["clipped", "by parts"])
def test_any_end_that_gives_probabilities_becomes_logits_of_the_same_ones(export, form):
    tail = {
        "clipped": [
            helper.make_node("Softmax", ["z"], ["p"], axis=-1),
            helper.make_node("Clip", ["p", "low", "high"], ["y"]),
        ],
        "by parts": [
            helper.make_node("Exp", ["z"], ["e"]),
            helper.make_node("ReduceSum", ["e", "axes"], ["s"], keepdims=1),
            helper.make_node("Div", ["e", "s"], ["y"]),
        ],
    }[form]
    weights = WEIGHTS | {"low": np.float32(1e-7), "high": np.float32(1), "axes": np.array([1])}
    source = export(
        [*body(given="z"), *tail],
        tensor("x", ["n", 1, 8, 6]),
        [tensor("y", ["n", 3])],
        "probabilities",
        weights=weights,
    )
    odds = np.exp(expected())
    np.testing.assert_allclose(np.exp(run(source.graph)), odds / odds.sum(1, keepdims=True), atol=1e-5)


def test_scores_of_a_sigmoid_are_no_logits(export):
    nodes = [*body(given="z"), helper.make_node("Sigmoid", ["z"], ["y"])]
    for outputs, text in (("logits", "ends in Sigmoid"), ("probabilities", "gives no probabilities")):
        with pytest.raises(ConfigError, match=text):
            export(nodes, tensor("x", ["n", 1, 8, 6]), [tensor("y", ["n", 3])], outputs)


def test_a_batch_that_is_called_open_and_is_one_becomes_open(export):
    weights = WEIGHTS | {"rows": np.array([1, 4])}
    check(export(body(), tensor("x", ["n", 1, 8, 6]), [tensor("y", [1, 3])], weights=weights), expected())


def test_dense_weights_behind_a_reshape_are_a_layer(export):
    weights = {name: value for name, value in WEIGHTS.items() if name != "dense"}
    weights |= {"flat": WEIGHTS["dense"].ravel(), "shape": np.array([4, 3])}
    nodes = [helper.make_node("Reshape", ["flat", "shape"], ["dense"]), *body()]
    source = export(nodes, tensor("x", ["n", 1, 8, 6]), [tensor("y", ["n", 3])], weights=weights)
    assert [layer.multiply_adds for layer in find_layers(source.graph)] == [6 * 4 * 4 * 9, 12]
    check(source, expected())


def test_products_that_are_no_layers_are_counted_and_stay_float(export):
    nodes = [
        *body(given="z"),
        helper.make_node("Unsqueeze", ["z", "axes"], ["u"]),
        helper.make_node("Transpose", ["u"], ["v"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["v", "u"], ["w"]),  # [n, 3, 1] by [n, 1, 3]
        helper.make_node("Einsum", ["w", "u"], ["t"], equation="nij,nkj->nik"),
        helper.make_node("ReduceSum", ["t", "last"], ["y"], keepdims=0),
    ]
    source = export(
        nodes,
        tensor("x", ["n", 1, 8, 6]),
        [tensor("y", ["n", 3])],
        weights=WEIGHTS | {"axes": np.array([1]), "last": np.array([2])},
    )
    assert [product.multiply_adds for product in find_products(source.graph)] == [9, 9]
    faces = synthetic_samples(source.spec, 64)
    found = verify_graphs({"fp32": source.graph}, source.spec, faces, source.logits(faces.faces), 4)["fp32"]
    assert found.multiply_adds == 6 * 4 * 4 * 9 + 12 + 18
    assert found.declared == {"fp32": 1.0}
    assert found.executed["onnxruntime"].multiply_adds == {"fp32": 1.0}


def test_a_runtime_that_lacks_an_operator_is_listed_and_the_others_go_on(export):
    openvino = pytest.importorskip("openvino")
    del openvino
    nodes = [helper.make_node("Pad", ["x", "pads"], ["p"], mode="wrap"), *body("p")]
    source = export(
        nodes,
        tensor("x", ["n", 1, 8, 6]),
        [tensor("y", ["n", 3])],
        weights=WEIGHTS | {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
        opset=19,
        ir=9,
    )
    faces = synthetic_samples(source.spec, 64)
    found = verify_graphs({"fp32": source.graph}, source.spec, faces, source.logits(faces.faces), 4)["fp32"]
    assert set(found.executed) == {"onnxruntime"}
    assert "Pad" in found.unable["openvino"]
