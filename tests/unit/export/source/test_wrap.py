"""A ready ONNX file behind raw faces: any batch, old opsets, folded norms, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.artifact import ONNX_NAME
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import CheckpointError, ConfigError, ExportError
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.layers import find_layers
from fer_export.graph.temperature import divide_by_temperature
from fer_export.int8.activations import find_activations
from fer_export.int8.post_training import calibrate_int8, quantize
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.source.load import OnnxFile, source_from_onnx
from fer_export.source.onnx_file import last_operator, read_onnx_file, to_logits
from fer_export.source.reference import OUTPUTS_NAME
from fer_export.verify.check import check_interface
from fer_export.verify.executed import read_back_precisions
from fer_export.verify.parity import measure_parity
from onnx_reference import load_reference

LABELS = ("calm", "glad", "tense")
GRAY = ModelSpec("given", labels=LABELS, height=8, width=6, mean=(0.0,), scale=(255.0,))
COLOUR = ModelSpec(
    "given", LABELS, height=8, width=6, channels=3, mean=(120.0, 110.0, 100.0), scale=(60.0, 50.0, 40.0)
)
CHANNELS = 16
FLAT = CHANNELS * 8 * 6


def build(spec: ModelSpec, batch: int | str = "n", opset: int = 17, last: str = "", name: str = "x"):
    """Convolution, batch norm, ReLU, flatten by a reshape, matrix product, and `last` at the end."""
    generator = np.random.default_rng(3)

    def weights(label: str, *shape: int) -> onnx.TensorProto:
        values = generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array(values.astype(np.float32), label)

    flat = batch if isinstance(batch, int) else -1
    constants = [
        weights("conv.weight", CHANNELS, spec.channels, 3, 3),
        weights("fc.weight", len(LABELS), FLAT),
        weights("fc.bias", len(LABELS)),
        *(weights(part, CHANNELS) for part in ("gain", "shift", "centre")),
        numpy_helper.from_array(np.full(CHANNELS, 0.5, np.float32), "variance"),
        numpy_helper.from_array(np.array([flat, FLAT]), "shape"),
    ]
    nodes = [
        helper.make_node("Conv", [name, "conv.weight"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "gain", "shift", "centre", "variance"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["logits"]),  # an inner tensor of that name
        helper.make_node("Gemm", ["logits", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    if last:
        nodes.append(helper.make_node(last, ["y"], ["z"], axis=1))
    shape = [batch, spec.channels, spec.height, spec.width]
    graph = helper.make_graph(
        nodes,
        "given",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [batch, len(LABELS)])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def save(tmp_path):
    def write(model: onnx.ModelProto):
        path = tmp_path / "given.onnx"
        onnx.save(model, path)
        return path

    return write


def faces(spec: ModelSpec, count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *spec.face_shape), dtype=np.uint8)


def run(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"faces": batch})[0]


def run_given(model: onnx.ModelProto, spec: ModelSpec, batch: np.ndarray) -> np.ndarray:
    """Run the file as it came, one face after the other, normalized here."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    size = entry.shape[0] if isinstance(entry.shape[0], int) else 1
    mean, scale = np.array(spec.mean), np.array(spec.scale)
    pixels = (batch.reshape(*batch.shape[:3], spec.channels) - mean) / scale
    planes = pixels.transpose(0, 3, 1, 2).astype(np.float32)
    rows = [session.run(None, {entry.name: np.repeat(p[None], size, 0)})[0][0] for p in planes]
    return np.array(rows)


@pytest.mark.parametrize("spec", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("name", ["x", "faces"])
def test_raw_faces_in_any_number_get_the_files_own_answers(save, spec, batch, name):
    model = build(spec, batch, name=name)
    source = source_from_onnx(OnnxFile(save(model), spec, "logits"))
    check_interface(source.graph, source.spec)
    expected = run_given(model, spec, faces(spec))
    np.testing.assert_allclose(source.logits(faces(spec)), expected, atol=1e-4)
    for count in (1, 3, 40):
        np.testing.assert_allclose(run(source.graph, faces(spec, 40)[:count]), expected[:count], atol=1e-4)


@pytest.mark.parametrize(("last", "outputs"), [("", "logits"), ("Softmax", "probabilities")])
def test_the_temperature_of_the_spec_divides_the_files_logits(save, last, outputs):
    warm = dataclasses.replace(GRAY, temperature=2.5)
    path = save(build(GRAY, last=last))
    plain = source_from_onnx(OnnxFile(path, GRAY, outputs))
    source = source_from_onnx(OnnxFile(path, warm, outputs))
    assert source.spec.temperature == 2.5
    expected = plain.logits(faces(GRAY)) / 2.5
    np.testing.assert_allclose(source.logits(faces(GRAY)), expected, atol=1e-5)
    np.testing.assert_allclose(run(source.graph, faces(GRAY)), expected, atol=1e-4)


def test_a_softmax_is_found_behind_the_temperature():
    model = build(GRAY, last="Softmax")
    divide_by_temperature(model.graph, dataclasses.replace(GRAY, temperature=2.5))
    assert model.graph.node[-1].op_type == "Div"
    assert last_operator(model) == "Softmax"


def test_an_old_opset_is_converted_and_a_new_one_kept(save):
    for opset, expected in ((9, 18), (11, 18), (13, 13), (17, 17)):
        model = build(GRAY, opset=opset)
        source = source_from_onnx(OnnxFile(save(model), GRAY, "logits"))
        assert source.spec.opset == expected
        assert [entry.version for entry in source.graph.opset_import if not entry.domain] == [expected]
        assert source.made["opset"] == opset
        np.testing.assert_allclose(
            run(source.graph, faces(GRAY)), run_given(model, GRAY, faces(GRAY)), atol=1e-4
        )


def test_batch_norm_is_folded_and_layers_are_known_by_their_weights(save):
    graph = source_from_onnx(OnnxFile(save(build(GRAY)), GRAY, "logits")).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    assert [layer.name for layer in find_layers(graph)] == ["conv", "fc"]
    found = find_activations(graph, GRAY).faces
    assert found is not None  # the CPU's file takes uint8 into its first layer
    assert (found.scale, found.zero_point) == (1 / 255, 0)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_layers_are_found_again_where_weights_have_flat_names(save, runtime):
    pytest.importorskip(runtime)
    model = build(GRAY)
    for old, new in (("conv.weight", "onnx::Conv_17"), ("fc.weight", "w")):
        for entry in (*model.graph.initializer, *model.graph.node):
            if entry.name == old:
                entry.name = new
            for place, name in enumerate(getattr(entry, "input", ())):
                if name == old:
                    entry.input[place] = new
    graph = source_from_onnx(OnnxFile(save(model), GRAY, "logits")).graph
    layers = find_layers(graph)
    assert [layer.name for layer in layers] == ["onnx::Conv_17", "w"]
    assert read_back_precisions(graph, layers, runtime).deviating == {}
    np.testing.assert_allclose(run(graph, faces(GRAY)), run_given(model, GRAY, faces(GRAY)), atol=1e-4)


@pytest.mark.parametrize("spec", [GRAY, COLOUR], ids=["gray", "colour"])
def test_every_precision_is_made_of_it(save, spec):
    source = source_from_onnx(OnnxFile(save(build(spec)), spec, "logits"))
    expected = source.logits(faces(spec))
    calibration = calibrate_int8(
        source.graph, faces(spec), method="mse", source="noise", seed=0, spec=source.spec
    )
    graphs = {
        "fp16": to_fp16(source.graph, spec),
        "int8": quantize(source.graph, calibration, "mse"),
        "int8-cpu": to_int8_cpu(source.graph, calibration.cpu_ranges, source.spec),
    }
    for precision, graph in graphs.items():
        check_interface(graph, source.spec)
        parity = measure_parity(expected, run(graph, faces(spec)))
        bar = 0.01 if precision == "fp16" else 0.05
        assert parity.max_abs_difference < bar * parity.logit_range, precision


def test_a_softmax_becomes_a_log_softmax_where_it_is_declared(save):
    model = build(GRAY, last="Softmax")
    source = source_from_onnx(OnnxFile(save(model), GRAY, "probabilities"))
    logits = run(source.graph, faces(GRAY))
    np.testing.assert_allclose(np.exp(logits), run_given(model, GRAY, faces(GRAY)), atol=1e-5)
    np.testing.assert_allclose(logits, source.logits(faces(GRAY)), atol=1e-4)
    with pytest.raises(ConfigError, match="ends in Softmax and gives probabilities"):
        to_logits(model, GRAY, "logits")
    with pytest.raises(ConfigError, match=r"gives no probabilities, as you say: .* say --outputs logits"):
        source_from_onnx(OnnxFile(save(build(GRAY)), GRAY, "probabilities"))
    with pytest.raises(ConfigError, match="outputs must be logits or probabilities, got 'scores'"):
        to_logits(model, GRAY, "scores")


def test_a_regression_keeps_its_values_whatever_the_file_ends_in(save):
    spec = dataclasses.replace(GRAY, task="regression")
    model = build(spec, last="Softmax")
    source = source_from_onnx(OnnxFile(save(model), spec, "logits"))
    np.testing.assert_allclose(run(source.graph, faces(spec)), run_given(model, spec, faces(spec)), atol=1e-5)
    with pytest.raises(ConfigError, match="given is a regression, whose outputs are no probabilities"):
        to_logits(model, spec, "probabilities")


def test_a_log_softmax_counts_as_logits():
    assert to_logits(build(GRAY, last="LogSoftmax"), GRAY, "logits").graph.node[-1].op_type == "LogSoftmax"


def test_what_does_not_fit_its_spec_is_refused(save, tmp_path):
    path = save(build(COLOUR))
    with pytest.raises(
        ConfigError, match=r"takes x float \[n, 3, 8, 6\], the spec asks for .* \[n, 1, 8, 6\]"
    ):
        read_onnx_file(path, GRAY)
    other = ModelSpec("given", ("calm", "tense"), height=8, width=6)
    with pytest.raises(
        ConfigError, match=r"gives y float \[n, 3\], the spec asks for .*\[n, 2\].*calm, tense"
    ):
        read_onnx_file(save(build(other)), other)
    with pytest.raises(ConfigError, match="cannot read the ONNX file"):
        read_onnx_file(tmp_path / "none.onnx", GRAY)
    path.write_bytes(b"not a graph")
    with pytest.raises(ConfigError, match="no valid ONNX file"):
        read_onnx_file(path, GRAY)
    twice = build(GRAY)
    twice.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, ["n", CHANNELS, 8, 6]))
    with pytest.raises(ConfigError, match=r"2 outputs; choose one with --onnx-output: y float .*, c float"):
        read_onnx_file(save(twice), GRAY)
    with pytest.raises(ConfigError, match="has no output 'z', it has y float"):
        read_onnx_file(save(twice), GRAY, "z")
    idle = build(GRAY)
    for name in ("x", "fc.bias"):
        idle.graph.output[0].name = name
        with pytest.raises(ConfigError, match=f"computes nothing: its output {name} is its input or a const"):
            read_onnx_file(save(idle), GRAY)


def test_a_batch_that_more_than_reshapes_fix_is_refused(save):
    model = build(GRAY, 4)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, FLAT), np.float32), "offset"))
    model.graph.node[3].output[0] = "flat"
    model.graph.node.insert(4, helper.make_node("Add", ["flat", "offset"], ["logits"]))
    with pytest.raises(ExportError, match="export it with a dynamic batch"):
        source_from_onnx(OnnxFile(save(model), GRAY, "logits"))


def test_control_flow_is_refused(save):
    model = build(GRAY)
    body = helper.make_graph(
        [helper.make_node("Identity", ["y"], ["same"])],
        "body",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    model.graph.node.append(helper.make_node("If", ["always"], ["z"], then_branch=body, else_branch=body))
    model.graph.output[0].name = "z"
    with pytest.raises(ExportError, match=r"control flow \(If\)"):
        source_from_onnx(OnnxFile(save(model), GRAY, "logits"))


def test_the_reference_is_loaded_from_its_folder_again(save, tmp_path):
    model = build(COLOUR, 4, last="Softmax")
    source = source_from_onnx(OnnxFile(save(model), COLOUR, "probabilities"))
    folder = tmp_path / "checkpoint"
    source.save(folder)
    again = load_reference(folder)
    assert again.spec == source.spec
    np.testing.assert_array_equal(again.logits(faces(COLOUR)), source.logits(faces(COLOUR)))
    assert again.logits(faces(COLOUR, 0)).shape == (0, 3)
    content = (folder / ONNX_NAME).read_bytes()
    (folder / ONNX_NAME).write_bytes(content + b"\0")
    with pytest.raises(CheckpointError, match=r"not the file that spec\.json vouches for"):
        load_reference(folder)
    (folder / OUTPUTS_NAME).unlink()
    with pytest.raises(CheckpointError, match="no whole ONNX reference"):
        load_reference(folder)
