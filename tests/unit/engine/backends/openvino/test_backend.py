"""What is OpenVINO's own; the contract of all backends is tested in test_backend.py and test_engine.py."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino
import pytest

from fer_engine import BackendError, ConfigError, Engine
from fer_engine.backends.openvino.backend import Request
from fer_engine.backends.openvino.layers import inference_precision
from fer_engine.system import cpu


def load(artifact, **options):
    return Engine.load(artifact.folder, backend="openvino", **options)


def test_info_tells_what_runs(artifact):
    with load(artifact, threads=1, micro_batch=4) as engine:
        info = engine.info
    assert (info.backend, info.device, info.providers) == ("openvino", "cpu", ("CPU",))
    assert (info.mode, info.threads, info.micro_batch, info.micro_batch_from) == ("throughput", 1, 4, "given")
    assert openvino.__version__.startswith(info.versions["openvino"] + "-")


def test_float32_is_float32_on_every_cpu(artifact):
    # Left to itself OpenVINO takes bfloat16 where the CPU has it: its eight bits would round these sums.
    with load(artifact) as engine:
        assert engine.info.executed == {"fp32": 1}
        faces = artifact.faces(100)
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))


class Cpu:
    """A CPU as OpenVINO describes it, of whatever class this machine is."""

    def __init__(self, *capabilities):
        self.capabilities = ["FP32", "INT8", *capabilities]

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self.capabilities


@pytest.mark.parametrize(
    ("capabilities", "half"), [((), "f32"), (("BF16",), "f32"), (("FP16",), "f16"), (("BF16", "FP16"), "f16")]
)
def test_float16_is_asked_for_where_the_cpu_has_it_and_bfloat16_nowhere(capabilities, half):
    assert inference_precision(Cpu(*capabilities), half=True) == half
    assert inference_precision(Cpu(*capabilities), half=False) == "f32"


@pytest.mark.parametrize("mode", ["throughput", "latency"])
@pytest.mark.parametrize("micro_batch", [None, 1, 2, 3, 5, 32, 50])
def test_padding_is_never_seen(artifact, micro_batch, mode):
    with load(artifact, threads=1, micro_batch=micro_batch, mode=mode) as engine:
        # Downwards, so that what an earlier and larger batch left in the buffer would show.
        for count in range(66, 0, -1):
            faces = artifact.faces(count, seed=count)
            np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))


@pytest.mark.parametrize("mode", ["throughput", "latency"])
def test_more_micro_batches_than_requests_under_way(artifact, mode):
    with load(artifact, threads=2, micro_batch=3, mode=mode) as engine:
        for count in (4, 7, 100):
            faces = artifact.faces(count, seed=count)
            np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))


def test_a_failure_in_the_middle_of_a_batch_is_an_error_and_leaves_the_engine_whole(artifact, monkeypatch):
    with load(artifact, threads=2, micro_batch=2) as engine:
        faces = artifact.faces(20)
        waited = Request.wait
        fails = iter([False, False, True])

        def wait(request):
            if next(fails, False):
                raise RuntimeError("Exception from here\nthe runtime broke")
            return waited(request)

        monkeypatch.setattr(Request, "wait", wait)
        with pytest.raises(BackendError, match=r"^openvino failed on 20 faces: the runtime broke$"):
            engine.logits(faces)
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))


def test_threads_that_bring_single_faces_at_once_do_not_mix_them_up(artifact):
    faces = artifact.faces(64)
    with load(artifact, threads=2) as engine, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda i: engine.logits(faces[i : i + 1]), list(range(64)) * 8))
    np.testing.assert_array_equal(np.concatenate(answers), np.tile(artifact.logits(faces), (8, 1)))


def test_answers_outlive_the_next_call(artifact):
    with load(artifact, threads=1) as engine:
        first, second = artifact.faces(3, seed=1), artifact.faces(3, seed=2)
        kept = engine.logits(first)
        engine.logits(second)
        np.testing.assert_array_equal(kept, artifact.logits(first))


def test_the_cache_is_used_where_it_is_asked_for(artifact, tmp_path):
    before = sorted(artifact.folder.iterdir())
    with load(artifact):
        pass
    cache = tmp_path / "new" / "cache"
    for cached in (False, True):
        with load(artifact, cache=cache) as engine:
            faces = artifact.faces(5)
            np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))
            assert engine.info.executed == {"fp32": 1}
            assert engine._backend._requests[-1].compiled.get_property("LOADED_FROM_CACHE") is cached
    assert len(list(cache.glob("*.blob"))) == 2  # single faces have a model of their own
    assert sorted(artifact.folder.iterdir()) == before


def test_a_cache_that_cannot_be_made(artifact, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^cache folder .*file cannot be made: .*; give one that you may"):
        load(artifact, cache=tmp_path / "file")


@pytest.mark.parametrize(("vnni", "refused"), [(False, True), (True, False), (None, False)])
def test_a_cpu_without_vnni_does_not_get_the_graph_that_saturates_there(artifact, monkeypatch, vnni, refused):
    # The graph is float32 under another name: only the name decides.
    path = artifact.folder / "manifest.json"
    data = json.loads(path.read_text())
    data["files"]["int8"] = data["files"]["fp32"]
    path.write_text(json.dumps(data))
    features = dict.fromkeys(cpu.FEATURES, vnni) | {"avx2": True}
    monkeypatch.setattr(cpu, "cpu_features", lambda: features)
    if refused:
        with pytest.raises(BackendError, match=r"without VNNI.*use precision 'int8-cpu'"):
            load(artifact, precision="int8")
    else:
        load(artifact, precision="int8").close()


def test_a_large_micro_batch_does_not_make_a_smaller_batch_as_large(artifact, monkeypatch):
    sizes = []
    fill = Request._set

    def spy(self, faces):
        fill(self, faces)
        sizes.append(self._request.get_input_tensor().shape[0])

    with load(artifact, threads=1, micro_batch=1024) as engine:
        faces = artifact.faces(65, seed=0)
        monkeypatch.setattr(Request, "_set", spy)
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))
    assert sizes == [96]
