"""Faces on the device that are not what the model takes, or that cannot be had."""

import numpy as np
import pytest

from fer_engine import BackendError, BackendOptions, Choice, ConfigError, Engine, InputError
from simulated.app import App
from simulated.cudart import LEGACY
from simulated.rig import make_faces, true_logits


@pytest.mark.parametrize("changes", [{"stream": None}, {"stream": 1}, {"version": 2, "stream": None}])
def test_a_producer_without_a_stream_works_in_the_default_one(rig, changes):
    app = App(rig.device, "interface", LEGACY)
    with rig.engine() as engine:
        faces = make_faces(9)
        frames = app.frames(faces)
        frames.changes = changes
        np.testing.assert_array_equal(engine.logits_on_device(frames).numpy(), true_logits(faces))
    app.close()


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (np.zeros((3, 4, 4), np.float32), r"^faces must be uint8 pixels from 0 to 255, got float32; "),
        (np.zeros((3, 5, 4), np.uint8), r"^faces must have the shape \[n, 4, 4\], got \[3, 5, 4\]; "),
        (
            np.zeros((4, 4), np.uint8),
            r"^faces must have the shape \[n, 4, 4\], got \[4, 4\]; .*faces\[None\]",
        ),
        (np.zeros((), np.uint8), r"^faces must have the shape \[n, 4, 4\], got \[\]; "),
    ],
)
def test_faces_of_another_kind(engine, app, faces, message):
    with pytest.raises(InputError, match=message):
        engine.logits_on_device(app.frames(faces))
    good = make_faces(3)
    np.testing.assert_array_equal(engine.logits_on_device(app.frames(good)).numpy(), true_logits(good))


def test_faces_that_do_not_lie_in_order(engine, app):
    frames = app.frames(make_faces(6))
    frames.shape, frames.changes = (3, 4, 4), {"strides": (32, 4, 1)}
    with pytest.raises(
        InputError, match=r"^faces must be C-contiguous, got shape \[3, 4, 4\] with strides \[32, 4, 1\]"
    ):
        engine.logits_on_device(frames)
    faces = make_faces(1)
    frames = app.frames(faces)
    frames.changes = {"strides": (999, 4, 1)}  # nobody steps from one face to the next
    np.testing.assert_array_equal(engine.logits_on_device(frames).numpy(), true_logits(faces))


@pytest.mark.parametrize("faces", [make_faces(2), [1, 2], None], ids=["numpy", "list", "none"])
def test_what_is_on_no_gpu(rig, faces):
    with rig.engine() as engine, pytest.raises(InputError, match=r"; use logits\(faces\) for numpy arrays$"):
        engine.logits_on_device(faces)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": None}, r"cannot be read \(TypeError.* give an array of PyTorch"),
        ({"typestr": "nonsense"}, r"cannot be read"),
        ({"typestr": "|V0", "strides": (1, 1, 1)}, r"cannot be read"),
        ({"strides": (1, 1)}, r"cannot be read \(ValueError"),
        ({"data": 5}, r"cannot be read"),
        ({"mask": object()}, r"must be without a mask; "),
        (
            {"data": (64, False)},
            r"must lie in the memory of cuda:0, where the engine runs, got the address 0x40",
        ),
    ],
)
def test_an_interface_that_cannot_be_used(rig, changes, message):
    app = App(rig.device, "interface")
    with rig.engine() as engine:
        frames = app.frames(make_faces(2))
        frames.changes = changes
        with pytest.raises(InputError, match=rf"^faces .*{message}"):
            engine.logits_on_device(frames)
    app.close()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ((1, 0), r"must lie in the memory of a GPU, got an array in that of the host; "),
        ((10, 0), r"must lie in device memory of CUDA, DLPack's type 2, got type 10; "),
        ((2, 1), r"must lie in the memory of cuda:0, where the engine runs, got cuda:1; copy them there"),
    ],
)
def test_a_capsule_from_elsewhere(rig, location, message):
    app = App(rig.device, "dlpack")
    with rig.engine() as engine:
        frames = app.frames(make_faces(2))
        frames.location = location
        with pytest.raises(InputError, match=rf"^faces {message}"):
            engine.logits_on_device(frames)
    app.close()


@pytest.mark.parametrize("error", [BufferError("no"), RuntimeError("no"), None])
def test_a_producer_that_lends_nothing(rig, error):
    class Refusing:
        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, *, stream):
            if error:
                raise error
            return "no capsule"

    with (
        rig.engine() as engine,
        pytest.raises(InputError, match=r"^faces cannot be lent by Refusing through"),
    ):
        engine.logits_on_device(Refusing())


def test_a_backend_of_the_host_refuses(rig):
    rig.make()
    with (
        Engine.load(rig.folder) as engine,
        pytest.raises(BackendError, match=r"^backend 'onnxruntime' takes numpy arrays alone, got list; "),
    ):
        engine.logits_on_device([])


def test_mirrored_faces_are_for_the_host(rig):
    backend = rig.load()
    model = rig.make()
    with (
        Engine(backend, model, BackendOptions("cuda"), Choice("given"), tta="flip") as engine,
        pytest.raises(ConfigError, match=r"^tta='flip' works on numpy arrays alone; "),
    ):
        engine.logits_on_device(None)
