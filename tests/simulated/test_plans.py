"""Plans that do not fit, or are damaged: TensorRT never sees them."""

import hashlib
import shutil
from pathlib import Path

import pytest

from fer_engine import ArtifactError, BackendError, BackendOptions
from fer_engine.artifact.artifact import ENGINES_NAME
from simulated.rig import graph_bytes
from simulated.tensorrt import make_plan


def test_an_altered_or_truncated_plan_never_reaches_tensorrt(rig):
    rig.load().close()
    (path,) = rig.folder.glob("engines/*.plan")
    whole = path.read_bytes()
    for content in (whole[:-7], whole[:40] + b"?" + whole[41:], b""):
        rig.trt.seen.clear()
        model = rig.make()
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match="is not the plan that its sidecar vouches for"):
            rig.load_made(model)
        assert rig.trt.seen == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compute_capabilities": ("8.6",)}, r"built for compute capability 8\.6, this GPU has 8\.9"),
        ({"version": "11.3.0.9"}, r"built by tensorrt 11\.3\.0\.9, 11\.4\.0\.1 is installed"),
        ({"source_sha256": "0" * 64}, r"was built from model\.onnx with SHA-256 000000000000\.\.\."),
        ({"flavour": "tensorrt_rtx"}, r"holds no 'fp32' plan for tensorrt"),
    ],
)
def test_a_plan_for_something_else_never_reaches_tensorrt(rig, changes, message):
    with pytest.raises((ArtifactError, BackendError), match=f"{message}.* fer-export "):
        rig.load(sidecar=changes)
    assert rig.trt.seen == []


def test_a_plan_that_tensorrt_cannot_read(rig):
    with pytest.raises(BackendError) as caught:
        rig.load(content=b"no plan at all")
    assert str(caught.value) == (
        "TensorRT's deserialize_cuda_engine failed: [deserialize_cuda_engine] magic tag does not match; "
        f"build the plan again: fer-export --artifact {rig.folder} --tensorrt"
    )


def test_a_version_compatible_plan_alone_may_bring_its_own_runtime(rig):
    rig.load().close()
    rig.load(sidecar={"options": {"version_compatible": True}}).close()
    assert rig.trt.host_code_allowed == [False, True]


def test_a_plan_of_another_model(rig):
    plan = make_plan(graph_bytes(output="affect"), rig.profiles)
    with pytest.raises(ArtifactError, match=r"does not fit its spec: .*got faces uint8 .*, affect float32"):
        rig.load(content=plan)


@pytest.mark.parametrize("rebuild", ["never", "auto"])
def test_a_plan_is_read_once(rig, monkeypatch, rebuild):
    model = rig.make()
    read = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.suffix) or read_bytes(path))
    rig.load_made(model, BackendOptions("cuda", rebuild=rebuild)).close()
    assert read.count(".plan") == 1


def test_a_plan_built_earlier_for_this_gpu_is_found_in_the_cache(rig, tmp_path):
    rig.make()
    graph = hashlib.sha256(graph_bytes()).hexdigest()
    cache = tmp_path / "cache"
    shutil.move(rig.folder / ENGINES_NAME, cache / graph[:16] / rig.trt.__version__)
    model = rig.make(sidecar={"compute_capabilities": ("8.6",)})
    with pytest.raises(BackendError, match=r"built for compute capability 8\.6, this GPU has 8\.9"):
        rig.load_made(model, BackendOptions("cuda", cache=cache))
    rig.load_made(model, BackendOptions("cuda", cache=cache, rebuild="auto")).close()
