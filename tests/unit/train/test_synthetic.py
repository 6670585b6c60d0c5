import hashlib

import numpy as np
import pytest

from fer_engine.errors import ConfigError, DataError
from fer_train import synthetic
from fer_train.synthetic import UNIT, Eigenfaces, draw, faces
from studies import eigenfaces

# The same with NumPy 1.26 and 2.4, with and without AVX2: sums are of whole numbers, the rest is elementwise.
SHA256 = "d27986695bf0a5ddbb4d6ff79064ed97f51dff0ded76987735001745e77b2a13"


def test_one_seed_gives_the_same_bytes_everywhere():
    assert hashlib.sha256(faces(200, seed=7).tobytes()).hexdigest() == SHA256


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])
def test_fewer_faces_are_the_first_of_more(count):
    drawn = faces(count, seed=3)
    assert drawn.shape == (count, 48, 48)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, faces(130, seed=3)[:count])


def test_no_face_comes_twice_in_one_seed_or_another():
    drawn = np.concatenate([faces(130, seed) for seed in (0, 1, 2)])
    assert len(np.unique(drawn.reshape(len(drawn), -1), axis=0)) == len(drawn)


@pytest.mark.parametrize(("count", "seed"), [(-1, 0), (1, -1)])
def test_negative_numbers_are_refused(count, seed):
    with pytest.raises(ConfigError, match="must not be negative"):
        faces(count, seed)


def test_the_shipped_file_is_small_and_of_one_model():
    model = Eigenfaces.load(synthetic.FILE)
    assert synthetic.FILE.stat().st_size < 400_000
    assert model.components.shape == (128, 2304)
    assert model.components.dtype == np.int8
    assert model.spread.shape == model.detail.shape == (128,)


def test_the_faces_have_the_light_and_texture_of_fer2013():
    # PublicTest, which the model was not fitted on: mean 129.0 (deviation between faces 33.4), deviation
    # within a face 54.1, mean gradient 13.2. Plain eigenfaces have 9.2: the margin tells them apart.
    drawn = faces(2000, seed=1).astype(np.float32)
    gradient = np.mean([np.abs(np.diff(drawn, axis=axis)).mean() for axis in (1, 2)])
    assert drawn.mean() == pytest.approx(129.0, abs=4)
    assert drawn.mean((1, 2)).std() == pytest.approx(33.4, abs=5)
    assert drawn.std((1, 2)).mean() == pytest.approx(54.1, abs=3)
    assert gradient == pytest.approx(13.2, abs=1)


@pytest.fixture(scope="module")
def images():
    """Smooth random images: enough of them to measure eigenfaces of, and of known statistics."""
    noise = np.random.default_rng(0).normal(size=(400, 12, 12)).repeat(4, axis=1).repeat(4, axis=2)
    smooth = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, 2, (1, 2))) / 4
    grain = np.random.default_rng(1).normal(size=smooth.shape) * 0.1
    return np.clip(128 + 60 * (smooth + grain), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def measured(images, tmp_path_factory):
    """What the command writes for `images` as Training, with other ones as PublicTest."""
    folder = tmp_path_factory.mktemp("eigenfaces")
    source, output = folder / "fer.npz", folder / "eigenfaces.npz"
    usage = np.array(["Training"] * len(images) + ["PublicTest"] * 100)
    both = np.concatenate([images, images[:100, ::-1] // 2])
    np.savez(source, images=both, labels=np.zeros(len(both), np.uint8), usage=usage)
    with pytest.MonkeyPatch.context() as patch:
        # The fit of 16 rounds of 2,000 faces is for the shipped file; these images settle sooner.
        patch.setattr(eigenfaces, "ROUNDS", 8)
        patch.setattr(eigenfaces, "TRIAL", 200)
        assert eigenfaces.main(["--data", str(source), "--output", str(output)]) == 0
    return Eigenfaces.load(output)


@pytest.mark.slow
def test_the_command_measures_training_alone(images, measured):
    pixels = images.reshape(len(images), -1).astype(np.float64)
    standard = (pixels - pixels.mean(1, keepdims=True)) / pixels.std(1, keepdims=True)
    np.testing.assert_allclose(measured.mean * UNIT, standard.mean(0), atol=UNIT)
    assert measured.light[0] == pytest.approx(images.mean(), rel=1e-4)


@pytest.mark.slow
def test_a_measured_model_draws_images_like_those_it_was_measured_on(images, measured):
    drawn = draw(measured, np.random.default_rng(2), 400).astype(np.float32)
    assert drawn.mean() == pytest.approx(images.mean(), abs=3)
    assert drawn.std((1, 2)).mean() == pytest.approx(images.std((1, 2)).mean(), rel=0.05)
    gradient = [np.abs(np.diff(set_.astype(np.float32), axis=2)).mean() for set_ in (drawn, images)]
    assert gradient[0] == pytest.approx(gradient[1], rel=0.1)


def test_too_few_faces_are_refused(images, tmp_path, capsys):
    with pytest.raises(DataError, match="at least 256 faces with contrast, got 100"):
        eigenfaces.measure_eigenfaces(images[:100])
    with pytest.raises(DataError, match="got 0"):
        eigenfaces.measure_eigenfaces(np.zeros_like(images))
    assert eigenfaces.main(["--data", str(tmp_path / "no.csv"), "--output", str(tmp_path / "out.npz")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "out.npz").exists()
