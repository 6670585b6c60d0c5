"""Plans built on the spot, by the real builder for RTX GPUs."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys

import pytest

from fer_engine import ArtifactError, BackendError
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import PlanFolder
from fer_engine.backends.tensorrt.plan_match import Target, select_or_build_plan
from fer_export.tensorrt.options import BuildOptions, parse_profiles
from fer_export.tensorrt.plans import build_plans

trt = pytest.importorskip(
    "tensorrt_rtx", reason="tensorrt-rtx is not installed (Linux and Windows on x86-64)"
)

HERE = {"flavour": "tensorrt_rtx", "version": trt.__version__, "compute_capability": "8.9"}


@pytest.fixture
def folder(artifact, tmp_path):
    return shutil.copytree(artifact, tmp_path / "mini_xception")


def in_cache(cache, plan):
    (path,) = cache.rglob(f"{plan.name}.plan")
    return path


def test_a_plan_of_the_artifact_that_fits_is_taken(folder, tmp_path, caplog):
    options = BuildOptions("tensorrt_rtx", targets=("8.9",))
    ((path, plan),) = build_plans(Artifact.open(folder), options, ("fp16",))
    found = select_or_build_plan(Artifact.open(folder), "fp16", Target(**HERE), cache=tmp_path / "cache")
    assert found == (plan, path.read_bytes())
    assert not (tmp_path / "cache").exists()
    assert caplog.records == []


def test_another_gpu_gets_a_plan_of_its_own_once(folder, tmp_path, caplog):
    options = BuildOptions("tensorrt_rtx", targets=("8.6",), profiles=parse_profiles("1,8"))
    list(build_plans(Artifact.open(folder), options, ("fp16",)))
    opened, cache = Artifact.open(folder), tmp_path / "cache"
    with caplog.at_level(logging.WARNING):
        plan, content = select_or_build_plan(opened, "fp16", Target(**HERE), cache=cache)
    (record,) = caplog.records
    assert "was built for compute capability 8.6, this GPU has 8.9" in record.getMessage()
    assert (plan.compute_capabilities, plan.profiles) == (("8.9",), parse_profiles("1,8"))
    assert in_cache(cache, plan).read_bytes() == content
    assert select_or_build_plan(opened, "fp16", Target(**HERE), cache=cache) == (plan, content)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("damage", ["plan", "sidecar"])
def test_a_damaged_plan_of_the_artifact_is_built_anew(folder, tmp_path, caplog, damage):
    options = BuildOptions("tensorrt_rtx", targets=("8.9",), profiles=parse_profiles("1,8"))
    ((path, _),) = build_plans(Artifact.open(folder), options, ("fp16",))
    (path if damage == "plan" else path.with_suffix(".json")).write_bytes(b"{}")
    cache = tmp_path / "cache"
    plan, content = select_or_build_plan(Artifact.open(folder), "fp16", Target(**HERE), cache=cache)
    assert in_cache(cache, plan).read_bytes() == content
    assert len(caplog.records) == 1


def test_an_altered_cache_is_not_read(folder, tmp_path):
    plan, _ = select_or_build_plan(Artifact.open(folder), "fp16", Target(**HERE), cache=tmp_path / "cache")
    path = in_cache(tmp_path / "cache", plan)
    path.write_bytes(b"something else")
    with pytest.raises(ArtifactError, match="is not the plan that its sidecar vouches for"):
        PlanFolder(path.parent).read(plan)


def test_what_the_builder_refuses_is_told(folder, tmp_path):
    hopper = HERE | {"compute_capability": "9.0"}
    with pytest.raises(
        BackendError, match=r"could not build the plan: TensorRT for RTX cannot build .* '9\.0'"
    ):
        select_or_build_plan(Artifact.open(folder), "fp16", Target(**hopper), cache=tmp_path / "cache")
    with pytest.raises(ArtifactError, match="holds no 'fp8' graph"):
        select_or_build_plan(Artifact.open(folder), "fp8", Target(**HERE), cache=tmp_path / "cache")


def test_building_from_an_artifact_needs_neither_pytorch_nor_a_runtime(folder):
    code = (
        "import sys\n"
        "sys.modules.update(torch=None, onnxruntime=None, openvino=None, cv2=None, onnxscript=None)\n"
        "from fer_export.cli import main\n"
        f"sys.exit(main(['--artifact', {str(folder)!r}, '--tensorrt-rtx', '--engine-precision', 'int8']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "build tensorrt_rtx plan in int8\n")
    assert "100.0% int8 of the convolutions" in ran.stdout
