"""ONNX Runtime on a GPU: never a CPU in its place. Sessions here are real, only their provider is a claim."""

import numpy as np
import onnxruntime
import pytest

from fer_engine import BackendError, Engine
from fer_engine.artifact.artifact import Artifact

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
NAMES = {"onnxruntime": CUDA, "onnxruntime-tensorrt": TENSORRT}


@pytest.fixture
def claiming(monkeypatch):
    """Make onnxruntime claim GPU providers, while its sessions run on the CPU and claim `providers`."""

    def claim(providers, **methods):
        class Claiming(onnxruntime.InferenceSession):
            def __init__(self, content, settings, wanted, **options):
                self.asked = (wanted, options)
                super().__init__(content, settings, ["CPUExecutionProvider"])
                made.append(self)

            def get_providers(self):
                return providers

        made = []
        for name, method in methods.items():
            setattr(Claiming, name, method)
        available = [TENSORRT, CUDA, "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Claiming)
        return made

    return claim


class Placed:
    """All nodes on one provider, as onnxruntime reports a group of them."""

    def __init__(self, ep_name):
        self.ep_name = ep_name

    def get_nodes(self):
        return []


@pytest.mark.parametrize(("name", "provider"), NAMES.items())
def test_a_build_without_the_provider(artifact, name, provider):
    if provider in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    with pytest.raises(BackendError) as caught:
        Engine.load(artifact.folder, backend=name, device="cuda")
    available = ", ".join(onnxruntime.get_available_providers())
    assert str(caught.value) == (
        f"device 'cuda' needs onnxruntime's {provider}, the one installed has {available}; "
        "exchange it with: pip uninstall onnxruntime && pip install 'fer-engine[gpu]'"
    )


@pytest.mark.parametrize(("name", "provider"), NAMES.items())
def test_a_provider_that_does_not_start(artifact, claiming, name, provider):
    claiming(["CPUExecutionProvider"])
    with pytest.raises(BackendError) as caught:
        Engine.load(artifact.folder, backend=name, device="cuda")
    message = str(caught.value)
    assert message.startswith(f"onnxruntime cannot start {provider} and would run on CPUExecutionProvider; ")
    assert message.endswith("with: pip install 'onnxruntime-gpu[cuda,cudnn]'")


@pytest.mark.parametrize(("name", "provider"), NAMES.items())
def test_nodes_that_another_provider_takes(artifact, claiming, name, provider):
    claiming([provider, "CPUExecutionProvider"])
    with pytest.raises(BackendError) as caught:
        Engine.load(artifact.folder, backend=name, device="cuda")
    assert str(caught.value) == (
        f"onnxruntime's {provider} does not run 3 nodes of the graph: Cast (CPUExecutionProvider), "
        "Reshape (CPUExecutionProvider), MatMul (CPUExecutionProvider); "
        "use another precision or backend on this device"
    )


def test_an_onnxruntime_that_does_not_tell_where_nodes_run(artifact, claiming, monkeypatch):
    claiming([CUDA])
    monkeypatch.delattr(
        "onnxruntime.capi.onnxruntime_inference_collection.Session.get_provider_graph_assignment_info"
    )
    with pytest.raises(BackendError, match=r"cannot tell where each node runs, .* pip install --upgrade"):
        Engine.load(artifact.folder, device="cuda")


@pytest.mark.parametrize(("name", "provider"), NAMES.items())
def test_all_nodes_on_the_gpu(artifact, claiming, name, provider, tmp_path):
    sessions = claiming([provider], get_provider_graph_assignment_info=lambda _: [Placed(provider)])
    faces = artifact.faces(70)
    cache = tmp_path / "cache"
    with Engine.load(artifact.folder, backend=name, device="cuda:1", cache=cache) as engine:
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))
        assert (engine.info.device, engine.info.providers) == ("cuda:1", (provider,))
    ((asked, settings),) = sessions[0].asked[0]
    assert (asked, settings["device_id"]) == (provider, "1")
    if provider == TENSORRT:
        digest = Artifact.open(artifact.folder).files["fp32"].sha256
        assert settings["trt_engine_cache_path"] == str(cache / digest[:16])  # a folder for each graph
    else:
        assert settings["use_tf32"] == "0"
    assert sessions[0].asked[1] == {"enable_fallback": False}


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CUDA", "cuda:-1", ""])
def test_devices_that_are_none(artifact, device):
    with pytest.raises(BackendError) as caught:
        Engine.load(artifact.folder, device=device)
    assert str(caught.value) == (
        f"backend 'onnxruntime' runs on device 'cpu', 'cuda' or another GPU such as 'cuda:1', got {device!r}"
    )
