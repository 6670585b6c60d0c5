"""What surrounds the builder of TensorRT plans, without the library; see test_tensorrt_rtx for plans."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_engine.artifact.schema import from_json, to_json
from fer_engine.errors import BackendError, ConfigError, ExportError
from fer_export.cli import main
from fer_export.tensorrt import flavour, reader
from fer_export.tensorrt.build_process import build_in_subprocess
from fer_export.tensorrt.build_worker import Request
from fer_export.tensorrt.monitor import Progress
from fer_export.tensorrt.options import RTX_DEFAULT, BuildOptions, parse_profiles
from fer_export.tensorrt.plans import check_build, check_precisions


@pytest.mark.parametrize(
    ("text", "profiles"),
    [
        ("1", ((1, 1, 1),)),
        ("1,8,64", ((1, 1, 1), (8, 8, 8), (64, 64, 64))),
        ("1:64:256", ((1, 64, 256),)),
        ("1,2:4:8", ((1, 1, 1), (2, 4, 8))),
    ],
)
def test_profiles(text, profiles):
    assert parse_profiles(text) == profiles


@pytest.mark.parametrize("text", ["", "0", "-1", "1:2", "8:1:64", "1:2:3:4", "many", "1,,2"])
def test_wrong_profiles(text):
    with pytest.raises(ConfigError, match=r"batches must be .* as in 1,8,64 or .* as in 1:64:256, got"):
        parse_profiles(text)


def test_the_defaults_are_buckets_for_tensorrt_and_a_range_for_rtx():
    assert BuildOptions("tensorrt").profiles == parse_profiles("1,8,32,64,128,256")
    assert BuildOptions("tensorrt_rtx").profiles == parse_profiles("1:64:256")
    assert BuildOptions("tensorrt_rtx").rtx_targets == RTX_DEFAULT
    assert BuildOptions("tensorrt_rtx", targets=("12.0", "8.9", "8.9")).rtx_targets == ("8.9", "12.0")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"flavour": "onnx"}, "unknown flavour 'onnx'; known: tensorrt, tensorrt_rtx"),
        ({"optimization_level": 6}, "optimization level must be 0 to 5, got 6"),
        ({"workspace_mib": 0}, "workspace must be at least 1 MiB"),
        ({"hardware_compatibility": "all"}, "must be one of none, ampere_plus"),
        ({"targets": ("8.9",)}, "--target goes with --tensorrt-rtx"),
        ({"flavour": "tensorrt_rtx", "targets": ("9.0",)}, "cannot build for compute capability '9.0'"),
        ({"flavour": "tensorrt_rtx", "targets": ("sm89",)}, "it knows 7.5, 8.0, 8.6, 8.9, 12.0, 12.1"),
        ({"flavour": "tensorrt_rtx", "timing_cache": Path("t")}, "has no timing-cache"),
        ({"flavour": "tensorrt_rtx", "version_compatible": True}, "has no version-compatible"),
        ({"flavour": "tensorrt_rtx", "hardware_compatibility": "ampere_plus"}, "no hardware-compatibility"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(ConfigError, match=text.replace(".", r"\.")):
        BuildOptions(**{"flavour": "tensorrt"} | options)


def test_int8_for_turing_is_refused_with_the_reason():
    options = BuildOptions("tensorrt_rtx", targets=("7.5", "8.9"))
    options.check("fp16")
    with pytest.raises(ConfigError, match=r"no int8 convolutions for compute capability 7\.5.*in float"):
        options.check("int8")


def test_a_library_that_is_absent_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(flavour.INSTALL, "no_such_library", "pip install it")
    with pytest.raises(
        BackendError, match="no_such_library is not installed; install it with: pip install it"
    ):
        flavour.check_installed("no_such_library")
    with pytest.raises(BackendError, match=r"cannot be imported \(No module named"):
        flavour.load_library("no_such_library")


def test_an_old_library_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.1"))
    with pytest.raises(BackendError, match=r"tensorrt 8\.6\.1 is installed, expected 10 or later"):
        flavour.load_library("tensorrt")


def test_only_the_graphs_for_gpus_have_plans(monkeypatch):
    monkeypatch.setattr(flavour, "check_installed", lambda _: None)
    with pytest.raises(ConfigError, match="no plan can be 'int8-cpu'; known: fp32, fp16, int8"):
        check_build(BuildOptions("tensorrt"), ["int8-cpu"])


def test_progress_grows_from_0_to_1_over_nested_phases():
    shares: list[float] = []
    progress = Progress(shares.append)
    progress.start("build", None, 2)
    progress.start("clone", "build", 4)
    for step in range(4):
        assert progress.step("clone", step)
    assert shares == [0.125, 0.25, 0.375, 0.5]
    progress.finish("clone")
    progress.step("build", 0)
    progress.start("tune", "build", 1)
    progress.start("time", "tune", 2)
    progress.step("time", 0)
    progress.finish("time")
    progress.step("tune", 0)
    progress.step("build", 1)
    assert shares == [0.125, 0.25, 0.375, 0.5, 0.75, 1.0]


def test_a_build_that_nobody_waits_for_is_stopped():
    def gone(_share):
        raise BrokenPipeError

    progress = Progress(gone)
    progress.start("build", None, 2)
    assert progress.step("build", 0) is False


def test_a_request_survives_its_way_to_the_child():
    options = BuildOptions("tensorrt", timing_cache=Path("times"), optimization_level=2)
    request = Request("graph", "plan", (48, 48), options)
    assert from_json(Request, json.loads(json.dumps(to_json(request)))) == request


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "import os, sys; print('out of luck', file=sys.stderr, flush=True); os.abort()",
            r"tensorrt ended the process that it built in \(exit code -?\d+\): .*out of luck",
        ),
        ("pass", "it said nothing"),
        ("import sys; sys.stdin.readline(); print('{\"share\": 0.5}')", "it said nothing"),
    ],
)
def test_a_crash_ends_the_build_and_nothing_else(code, text):
    with pytest.raises(BackendError, match=text):
        build_in_subprocess(b"", (48, 48), BuildOptions("tensorrt"), command=(sys.executable, "-c", code))


def test_an_error_of_the_child_comes_back_as_it_was():
    code = 'print(\'{"error": "no such option", "kind": "ConfigError"}\')'
    with pytest.raises(ConfigError, match="no such option"):
        build_in_subprocess(b"", (48, 48), BuildOptions("tensorrt"), command=(sys.executable, "-c", code))


def layer(**values):
    return {
        "Name": "stem.0 + node_relu",
        "LayerType": "CaskConvolution",
        "ParameterType": "Convolution",
        "Metadata": "[ONNX Layer: stem.0]\x1e[ONNX Layer: node_relu]",
    } | values


@pytest.mark.parametrize(
    ("values", "precision"),
    [
        ({"Weights": {"Type": "Int8", "Count": 9}}, "int8"),
        ({"Weights": {"Type": "Half"}}, "fp16"),
        (
            {"Inputs": [{"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}]},
            "int8",
        ),
        ({"Inputs": [{"Format/Datatype": "Row major linear FP32"}]}, "fp32"),
        ({"Inputs": [{"DataType": "Half", "Format": "Channel major FP16 format (kHWC8)"}]}, "fp16"),
        ({"Inputs": [{"Format/Datatype": "N/A due to dynamic shapes"}]}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_precisions_from_an_inspector(values, precision):
    others = [layer(ParameterType="Reformat", Metadata="[ONNX Layer: trunk.0]"), "a layer's name alone"]
    found = reader.read_inspector(json.dumps({"Layers": [*others, layer(**values)]}))
    assert reader.of_convolutions(found, ["stem.0", "trunk.0"]) == {"stem.0": precision, "trunk.0": "unknown"}


def test_profiles_that_differ_in_precision_are_both_told():
    layers = [layer(Weights={"Type": "Int8"}), layer(Weights={"Type": "Float"})]
    assert reader.read_inspector(json.dumps({"Layers": layers}))["stem.0"] == "fp32/int8"
    layers.append(layer())
    assert reader.read_inspector(json.dumps({"Layers": layers}))["stem.0"] == "unknown"


def test_a_text_without_convolutions_tells_nothing():
    found = reader.of_convolutions(reader.read_rtx_plan(b"\x00\xff a plan"), ["stem.0"])
    assert found == {"stem.0": "unknown"}
    assert reader.shares(found) == {"unknown": 1.0}


def test_a_plan_in_another_precision_than_declared_is_refused():
    declared = {"a": "int8", "b": "int8", "c": "fp32"}
    check_precisions(declared, {"a": "int8", "b": "unknown", "c": "fp32"}, "int8")
    with pytest.raises(ExportError, match=r"the int8 plan computes 1 of 3 .*\(b in fp32\), and is not kept"):
        check_precisions(declared, {"a": "int8", "b": "fp32", "c": "fp32"}, "int8")
    with pytest.raises(ExportError, match=r"\(a in fp32/int8\)"):
        check_precisions(declared, {"a": "fp32/int8", "b": "int8", "c": "fp32"}, "int8")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--artifact", "a"], "--artifact goes with plans: add --tensorrt or --tensorrt-rtx"),
        (["--target", "8.9"], "--target goes with plans"),
        (["--artifact", "a", "--tensorrt-rtx", "--int8"], "exports nothing: leave out --int8"),
        (["--artifact", "a", "--tensorrt", "--target", "8.9"], "--target goes with --tensorrt-rtx"),
        (["--tensorrt-rtx", "--engine-batch", "0"], "batches must be"),
        (["--tensorrt-rtx", "--target", "9.0"], "on other GPUs use --tensorrt"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(argv, text, capsys):
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_of_the_two_libraries_one_is_chosen(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--tensorrt", "--tensorrt-rtx"])
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err
