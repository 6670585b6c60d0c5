"""The TensorRT runtime as a whole on the simulated device: right answers, and nothing left behind."""

import numpy as np
import pytest

from fer_engine import BackendOptions, ConfigError
from fer_engine.backends.cuda.bindings import CudaBindings
from simulated.rig import DETECTION, make_faces, true_logits


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16, 17, 21, 32, 33, 100])
def test_any_number_of_faces(rig, count):
    backend = rig.load()
    faces = make_faces(count)
    np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    backend.close()


def test_batches_of_all_sizes_in_turn_do_not_disturb_each_other(rig):
    backend = rig.load()
    kept = []
    for seed, count in enumerate([16, 1, 5, 40, 2, 16, 33, 3, 1, 64]):
        faces = make_faces(count, seed)
        kept.append((faces, backend.infer(faces)))
    for faces, logits in kept:
        np.testing.assert_array_equal(logits, true_logits(faces))
    backend.close()


def test_given_faces_are_read_before_infer_returns(rig):
    backend = rig.load()
    faces = make_faces(21)
    expected = true_logits(faces)
    logits = backend.infer(faces)
    faces.fill(0)
    np.testing.assert_array_equal(logits, expected)
    backend.close()


def test_a_graph_replaces_the_calls(rig):
    backend = rig.load()
    before = len(rig.device.calls)
    backend.infer(make_faces(4))
    calls = rig.device.calls[before:]
    assert calls == ["cudaGetDevice", "cudaGraphLaunch", "cudaStreamSynchronize"]
    backend.close()


def test_the_engine_reports_what_runs(rig):
    with rig.engine() as engine:
        info = engine.info
    assert info.providers == ("Simulated GPU (8.9)", "CUDA runtime 13.5 (cuda-bindings)", "CUDA graphs")
    assert (info.micro_batch, info.micro_batch_from, info.threads) == (16, "given", 2)
    assert info.executed == {"fp32": 1.0}


def test_the_whole_engine_takes_any_number_of_faces(rig):
    with rig.engine() as engine:
        for count in (0, 1, 37, 500):
            faces = make_faces(count)
            np.testing.assert_array_equal(engine.logits(faces), true_logits(faces))
        views = make_faces(80)[::2]
        np.testing.assert_array_equal(engine.logits(views), true_logits(views))


def test_a_detector_gives_all_values_of_its_boxes(rig):
    rig.spec = DETECTION
    with rig.engine() as engine:
        for count in (0, 1, 5, 16, 37):
            pictures = make_faces(count, spec=DETECTION)
            found = engine.logits(pictures)
            assert found.shape == (count, 5 * (16 + 4 + 1))
            np.testing.assert_array_equal(found, true_logits(pictures, DETECTION))


def test_costs_are_measured_for_every_bucket(rig):
    backend = rig.load()
    assert list(backend.costs) == [1, 4, 16]
    # A face takes a microsecond, a launch twenty, a call to CUDA five; see the simulated device.
    assert backend.costs[16] - backend.costs[1] == pytest.approx(15e-6)
    assert backend.costs[1] == pytest.approx(31e-6)
    backend.close()


def test_micro_batch_limits_the_buckets(rig):
    backend = rig.load(BackendOptions("cuda", micro_batch=4))
    assert backend.buckets == (1, 4)
    faces = make_faces(21)
    np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    backend.close()


def test_a_micro_batch_below_every_bucket_is_refused(rig):
    rig.profiles = [(4, 4, 4)]
    with pytest.raises(ConfigError, match=r"^micro_batch 2 is below the smallest batch of the plan; "):
        rig.load(BackendOptions("cuda", micro_batch=2))


@pytest.mark.parametrize(
    ("profiles", "micro_batch", "buckets"),
    [
        ([(1, 8, 40)], None, (1, 8, 32, 40)),
        ([(2, 8, 16)], 9, (8, 9)),
        ([(1, 1, 1), (2, 16, 64)], None, (1, 8, 32, 64)),
        ([(16, 16, 16), (1, 1, 1)], None, (1, 16)),
        ([(3, 3, 3)], None, (3,)),
    ],
)
def test_profiles_of_any_kind(rig, profiles, micro_batch, buckets):
    rig.profiles = profiles
    backend = rig.load(BackendOptions("cuda", micro_batch=micro_batch))
    assert backend.buckets == buckets
    for count in (1, 7, 50):
        faces = make_faces(count)
        np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    backend.close()


def test_another_gpu_than_the_first(rig):
    rig.device.devices = 2
    rig.connect = lambda: CudaBindings(rig.device, 1)
    backend = rig.load()
    assert {stream.device for stream in rig.device.streams.values()} == {1}
    assert rig.device.cudaGetDevice()[1] == 0  # the app's own choice stands
    faces = make_faces(21)
    np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    assert rig.device.cudaGetDevice()[1] == 0
    backend.close()
    assert rig.device.cudaGetDevice()[1] == 0


def test_tensorrt_for_rtx(rig):
    rig.trt.__name__ = "tensorrt_rtx"
    rig.profiles = [(1, 8, 64)]
    backend = rig.load()
    faces = make_faces(77)
    np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    backend.close()
