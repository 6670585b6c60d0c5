"""Real plans by NVIDIA's builder for RTX GPUs, which needs none; each in a process of its own."""

from __future__ import annotations

import ast
import inspect
import json
import shutil
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fer_engine import ArtifactError, BackendError
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import PlanFolder
from fer_engine.backends.cuda.protocol import Device
from fer_engine.backends.tensorrt.plan_match import Target, select_plan
from fer_engine.errors import ExportError
from fer_engine.exporter import plan_arguments
from fer_export.cli import main
from fer_export.tensorrt import build_worker, flavour, reader
from fer_export.tensorrt.build_process import build_in_subprocess
from fer_export.tensorrt.builder import build_plan
from fer_export.tensorrt.options import RTX_DEFAULT, BuildOptions, parse_profiles
from fer_export.tensorrt.plans import build_plans
from fer_export.verify.executed import declared_precisions

trt = pytest.importorskip(
    "tensorrt_rtx", reason="tensorrt-rtx is not installed (Linux and Windows on x86-64)"
)

# The plan's text, which nothing documents, is known for this version.
pinned = pytest.mark.skipif(trt.__version__ != "1.7.1.116", reason=f"tensorrt-rtx is {trt.__version__}")
PRECISIONS = ("fp32", "fp16", "int8")


def convolutions(artifact, precision):
    """Return the names of the convolutions, and that each is declared in the precision."""
    graph = onnx.load_from_string(Artifact.open(artifact).read_graph(precision))
    names = {node.name for node in graph.graph.node if node.op_type == "Conv"}
    declared = declared_precisions(graph)
    assert {declared[name] for name in names} == {precision}
    return names


@pytest.fixture(scope="module")
def graph(artifact):
    return {name: Artifact.open(artifact).read_graph(name) for name in (*PRECISIONS, "int8-cpu")}


@pinned
@pytest.mark.parametrize("target", RTX_DEFAULT)
def test_every_convolution_computes_as_declared_on_every_gpu(artifact, tmp_path, target):
    opened = Artifact.open(artifact)
    built = list(
        build_plans(
            Artifact.open(artifact), BuildOptions("tensorrt_rtx", targets=(target,)), engines=tmp_path
        )
    )
    assert [plan.precision for _, plan in built] == list(PRECISIONS)
    for path, plan in built:
        content = PlanFolder(tmp_path).read(plan)
        assert path.read_bytes() == content
        expected = dict.fromkeys(convolutions(artifact, plan.precision), plan.precision)
        assert len(expected) == 23
        assert reader.read_rtx_plan(content) == expected
        assert plan.layers == {plan.precision: 1.0}
        assert b"tf32=0" in content  # fp32 is fp32
        assert b"tf32=1" not in content
        assert (plan.compute_capabilities, plan.gpu, plan.cuda) == ((target,), None, "13")
        assert plan.profiles == parse_profiles("1:64:256")
        assert plan.source_sha256 == opened.files[plan.precision].sha256
        assert (plan.calibration_sha256 is None) == (
            plan.precision != "int8" or opened.manifest.made.int8["method"] == "qat"
        )
        here = {"flavour": "tensorrt_rtx", "version": trt.__version__, "compute_capability": target}
        assert select_plan(opened, plan.precision, Target(**here), plans=PlanFolder(tmp_path)) == plan


@pinned
def test_all_profiles_are_read_back(graph):
    options = BuildOptions("tensorrt_rtx", profiles=parse_profiles("1,2:4:8"), targets=("8.9",))
    plan = build_plan(trt, graph["int8"], (48, 48), options)
    assert plan.count(b" [profile 1]") > 0
    assert set(reader.read_rtx_plan(plan).values()) == {"int8"}


@pinned
def test_int8_that_comes_out_in_float_is_refused(artifact, tmp_path, monkeypatch):
    monkeypatch.setattr(BuildOptions, "check", lambda *_: None)
    options = BuildOptions("tensorrt_rtx", targets=("7.5", "8.9"))
    with pytest.raises(
        ExportError, match=r"int8 plan computes 23 of 23 convolutions in another .* in fp32, "
    ):
        list(build_plans(Artifact.open(artifact), options, ("int8",), tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_graph_is_explained_by_its_node(graph):
    with pytest.raises(
        ExportError, match=r"node 'node_unsqueeze' \(Unsqueeze\): .*UInt8.*; TensorRT takes INT8"
    ):
        build_plan(trt, graph["int8-cpu"], (48, 48), BuildOptions("tensorrt_rtx"))


def test_an_int32_bias_behind_a_pair_is_explained_by_its_node(graph):
    """ONNX Runtime's own quantizer writes such graphs."""
    model = onnx.load_from_string(graph["int8"])
    scale = numpy_helper.from_array(np.float32(1), "one")
    bias = next(node for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3)
    values = next(entry for entry in model.graph.initializer if entry.name == bias.input[2])
    integers = numpy_helper.from_array(numpy_helper.to_array(values).astype(np.int32), "bias.int32")
    model.graph.initializer.extend([scale, integers])
    pair = onnx.helper.make_node("DequantizeLinear", ["bias.int32", "one"], ["bias.float"], "bias.pair")
    bias.input[2] = "bias.float"
    model.graph.node.insert(0, pair)
    with pytest.raises(
        ExportError, match=r"node 'bias.pair' \(DequantizeLinear\): .*Int32.*; TensorRT takes INT8"
    ):
        build_plan(trt, model.SerializeToString(), (48, 48), BuildOptions("tensorrt_rtx"))


@pytest.mark.parametrize("content", [b"no graph", b"\x08"])
def test_what_is_no_graph_is_refused(content):
    with pytest.raises(ExportError, match="run fer-export again"):
        build_plan(trt, content, (48, 48), BuildOptions("tensorrt_rtx"))


def test_a_failed_build_says_what_the_library_said(graph):
    with pytest.raises(
        BackendError, match=r"build_serialized_network failed: .*Dimension mismatch.*--verbose"
    ):
        build_plan(trt, graph["fp32"], (40, 48), BuildOptions("tensorrt_rtx"))


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
@pytest.mark.parametrize("level", ["ampere_plus", "same_compute_capability"])
def test_the_options_of_tensorrt_pass_the_same_bindings(graph, tmp_path, level):
    """They have no effect here, but names and types are those of TensorRT."""
    options = BuildOptions(
        "tensorrt",
        profiles=parse_profiles("1,8"),
        timing_cache=tmp_path,
        optimization_level=1,
        workspace_mib=64,
        hardware_compatibility=level,
    )
    for _ in range(2):  # the second finds the cache of the first
        shares: list[float] = []
        build_plan(trt, graph["fp16"], (48, 48), options, gpu="NVIDIA L4", report=shares.append)
        assert len(shares) > 20
        assert shares == sorted(shares)
        assert (shares[0] > 0, shares[-1]) == (True, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == [f"tensorrt_rtx-{trt.__version__}-NVIDIA-L4.timing"]
    # The library that such a plan carries along is not part of TensorRT for RTX.
    with pytest.raises(BackendError, match="libnvinfer_lean"):
        build_plan(trt, graph["fp16"], (48, 48), BuildOptions("tensorrt", version_compatible=True))


def test_tensorrt_builds_for_the_gpu_that_is_there(graph, tmp_path, monkeypatch):
    """With the bindings of RTX in its place, a GPU that is none, and nothing read back from it."""
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setitem(flavour.OLDEST, "tensorrt", 1)
    there = SimpleNamespace(device=lambda: Device("NVIDIA L4", "8.9", "13.0"))
    monkeypatch.setattr(build_worker, "connect", lambda *_: there)
    shapes = []
    monkeypatch.setattr(
        build_worker.reader, "inspect_plan", lambda *args, **_: shapes.append(args[-1]) or {"a": "fp16"}
    )
    (tmp_path / "graph").write_bytes(graph["fp16"])
    options = BuildOptions("tensorrt", profiles=parse_profiles("2:4:8,16"))
    request = build_worker.Request(str(tmp_path / "graph"), str(tmp_path / "plan"), (48, 48), options)
    reply = build_worker.build_requested(request, lambda _: None)
    assert (reply.gpu, reply.compute_capabilities, reply.precisions) == ("NVIDIA L4", ("8.9",), {"a": "fp16"})
    assert (tmp_path / "plan").stat().st_size > 100_000
    assert shapes == [(4, 48, 48)]


def test_an_interrupted_build_ends_and_writes_nothing(artifact, graph, tmp_path):
    def interrupt(_share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_in_subprocess(graph["fp32"], (48, 48), BuildOptions("tensorrt_rtx"), interrupt)
    builds = build_plans(Artifact.open(artifact), BuildOptions("tensorrt_rtx"), ("fp32", "fp16"), tmp_path)
    next(builds)
    builds.close()
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".json", ".plan"]


def test_reading_back_on_a_gpu_uses_names_that_exist():
    tree = ast.parse(textwrap.dedent(inspect.getsource(reader.inspect_plan)))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    classes = (trt, trt.Runtime, trt.ICudaEngine, trt.IExecutionContext, trt.EngineInspector)
    ours = {"logger", "failure"}  # of the log
    known = {name for kind in (*classes, trt.LayerInformationFormat) for name in dir(kind)}
    assert len(used - ours) >= 10
    assert used - ours - known == set()


@pytest.mark.parametrize("command", [[], ["tensorrt"]])
def test_the_command_builds_beside_the_graphs_and_leaves_them(command, artifact, tmp_path, capsys):
    folder = tmp_path / "mini_xception"
    shutil.copytree(artifact, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    argv = ["--artifact", str(folder), "--tensorrt-rtx", "--engine-precision", "int8", "--target", "8.9,12.0"]
    assert main([*command, *argv]) == 0
    output = capsys.readouterr()
    assert "int8 of the convolutions, for compute capability 8.9, 12.0, " in output.out
    assert output.err == "build tensorrt_rtx plan in int8\n"
    (plan,) = Artifact.open(folder).plans.find("int8", "tensorrt_rtx")
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in (folder / "engines").iterdir()) == [
        "tensorrt_rtx-int8-sm89-sm120.json",
        "tensorrt_rtx-int8-sm89-sm120.plan",
    ]
    again = plan_arguments(folder, "tensorrt_rtx", "int8", "8.6", plan)
    cache = tmp_path / "cache"
    assert main([*again, "--engines", str(cache)]) == 0
    (rebuilt,) = PlanFolder(cache).find("int8", "tensorrt_rtx")
    assert (rebuilt.compute_capabilities, rebuilt.profiles) == (("8.6",), plan.profiles)


def test_a_graph_that_the_gate_refused_is_not_there_to_build_from(artifact, tmp_path, capsys):
    folder = tmp_path / "mini_xception"
    shutil.copytree(artifact, folder)
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    del data["files"]["int8"]
    data["gate"]["verdicts"]["int8"] |= {"accepted": False, "reason": "too slow"}
    path.write_text(json.dumps(data))
    assert main(["--artifact", str(folder), "--tensorrt-rtx", "--engine-precision", "int8"]) == 2
    error = capsys.readouterr().err
    assert "the gate refused it: too slow; keep it all the same with" in error
    assert "--force" in error
    assert not (folder / "engines").exists()


def test_an_altered_graph_is_not_built_from(artifact, tmp_path):
    folder = tmp_path / "mini_xception"
    shutil.copytree(artifact, folder)
    with Path(folder / "model.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ArtifactError, match="is not the file that the manifest vouches for"):
        list(
            build_plans(Artifact.open(folder), BuildOptions("tensorrt_rtx"), ("fp32",), tmp_path / "engines")
        )
