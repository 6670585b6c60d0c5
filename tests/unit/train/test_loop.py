from __future__ import annotations

import numpy as np
import pytest
import torch

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_train.loop import Trainer, logits, normalize
from fer_train.models import find_model
from fer_train.recipe import Augmentation, Recipe

pytestmark = pytest.mark.slow  # networks are trained

SPEC = ModelSpec("mini_xception")
RECIPE = Recipe(epochs=4, batch_size=16)


def data(count: int = 48) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.uint8) % 7
    # Each class has a level of gray of its own, so that a few steps can learn it.
    faces = random.integers(0, 40, (count, 48, 48)) + labels[:, None, None] * 30
    return faces.astype(np.uint8), labels


def trainer(recipe: Recipe = RECIPE, *teachers: torch.nn.Module) -> Trainer:
    torch.manual_seed(recipe.seed)
    return Trainer(find_model("mini_xception").build(SPEC), SPEC, recipe, teachers)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in network.state_dict().items()}


def test_normalize_is_the_spec_s_formula_for_gray_and_colour():
    gray = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 3, 4)
    assert torch.equal(normalize(gray, SPEC), ((gray.float() - 128) / 64).unsqueeze(1))
    colour = ModelSpec("mini_xception", channels=3, mean=(1.0, 2.0, 3.0), scale=(1.0, 2.0, 4.0))
    pixels = torch.full((1, 2, 2, 3), 9, dtype=torch.uint8)
    assert normalize(pixels, colour)[0, :, 0, 0].tolist() == [8.0, 3.5, 1.5]


def test_training_learns_an_easy_set():
    run = trainer(Recipe(epochs=12, batch_size=16, learning_rate=0.01, ema_decay=0.5))
    epochs = [run.run_epoch(data(), data()) for _ in range(12)]
    assert epochs[-1].train_loss < 0.6 * epochs[0].train_loss
    assert epochs[-1].measures["validation_accuracy"] > 0.5
    assert epochs[-1].score == epochs[-1].measures["validation_accuracy"]


def test_soft_labels_are_followed_and_a_majority_has_its_part_in_the_score():
    faces, labels = data()
    voted = (labels + 1) % 7  # the votes name another label than the face's own
    soft = np.eye(7, dtype=np.float32)[voted]
    majority = np.where(np.arange(len(voted)) % 2, voted, -1).astype(np.int64)
    run = trainer(Recipe(epochs=20, batch_size=16, learning_rate=0.01, ema_decay=0.5, vote_weight=0.75))
    epochs = [run.run_epoch((faces, soft), (faces, labels), majority=majority) for _ in range(20)]
    measures = epochs[-1].measures
    assert measures["validation_ferplus_accuracy"] > 0.3 > measures["validation_accuracy"]
    expected = 0.25 * measures["validation_accuracy"] + 0.75 * measures["validation_ferplus_accuracy"]
    assert epochs[-1].score == pytest.approx(expected)
    assert measures["train_accuracy"] > 0.3  # against the likeliest label of each mixture


def test_two_runs_of_one_recipe_give_the_same_weights():
    one, two = trainer(), trainer()
    for run in (one, two):
        run.run_epoch(data(), data())
    for name, weight in weights(one.average).items():
        assert torch.equal(weight, two.average.state_dict()[name]), name


def test_a_restored_trainer_goes_on_to_the_bit():
    whole = trainer()
    for _ in range(3):
        whole.run_epoch(data(), data())
    first = trainer()
    first.run_epoch(data(), data())
    second = trainer()
    second.restore(first.state())
    for _ in range(2):
        second.run_epoch(data(), data())
    for name, weight in weights(whole.network).items():
        assert torch.equal(weight, second.network.state_dict()[name]), name
    for name, weight in weights(whole.average).items():
        assert torch.equal(weight, second.average.state_dict()[name]), name


def test_distillation_follows_the_teacher_s_wrong_word():
    """A teacher that always says class 3, and nothing but the teacher, makes a student that does."""

    class Stubborn(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(7)[3].expand(len(x), 7) * 8

    recipe = Recipe(epochs=8, batch_size=16, learning_rate=0.01, distillation=1.0, ema_decay=0.5)
    run = trainer(recipe, Stubborn())
    for _ in range(8):
        run.run_epoch(data(), data())
    assert (logits(run.network, SPEC, data()[0]).argmax(1) == 3).mean() > 0.9


class Lopsided(torch.nn.Module):
    """Says class 0 where the left half is brighter, else class 1: mirroring turns its answer round."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x[..., :24].mean((1, 2, 3)), x[..., 24:].mean((1, 2, 3))
        scores = torch.stack([left - right, right - left], 1) * 50
        return torch.nn.functional.pad(scores, (0, 5), value=-20.0)


def test_a_mirrored_teacher_takes_no_side():
    left = np.zeros((1, 48, 48), np.uint8)
    left[:, :, :24] = 200
    inputs = normalize(torch.from_numpy(left), SPEC)
    plain, mirrored = (
        trainer(Recipe(teacher_mirror=mirror), Lopsided())._teacher_logits(inputs) for mirror in (False, True)
    )
    assert plain[0, 0] - plain[0, 1] > 100
    assert mirrored[0, 0] == pytest.approx(mirrored[0, 1])


class Says(torch.nn.Module):
    """Says one label of every face; counts the faces."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label
        self.seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return torch.eye(7)[self.label].expand(len(x), 7) * 8


def test_several_teachers_say_their_mean_probability():
    inputs = normalize(torch.from_numpy(data(2)[0]), SPEC)
    taught = trainer(RECIPE, Says(1), Says(4), Says(4))._teacher_logits(inputs).softmax(1)
    alone = (torch.eye(7)[[1, 4, 4]] * 8).softmax(1).mean(0)
    assert torch.allclose(taught, alone.expand(2, 7), atol=1e-6)


def test_a_teacher_that_is_asked_once_sees_each_face_once():
    """And what it said stays with its face through the shuffling, and with its share through mixup."""

    class Bright(Says):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += len(x)
            return torch.eye(7)[(x.mean((1, 2, 3)) > 0).long()] * 8

    faces = np.repeat(np.array([30, 220], np.uint8), 32)[:, None, None] * np.ones((48, 48), np.uint8)
    wrong = np.full(64, 5)
    still = Augmentation(brightness=0, contrast=0, noise=0, erase=0)
    recipe = Recipe(
        epochs=10, batch_size=16, learning_rate=0.01, distillation=1.0, ema_decay=0.5, teacher_once=True,
        mixup=0.2, augmentation=still,
    )  # fmt: skip
    teacher = Bright(0)
    run = trainer(recipe, teacher)
    for _ in range(10):
        run.run_epoch((faces, wrong), (faces, wrong))
    assert teacher.seen == 64
    assert (logits(run.network, SPEC, faces).argmax(1) == (faces[:, 0, 0] > 128)).mean() > 0.9


def test_mixup_blends_each_face_with_a_partner_and_both_labels():
    """With shares near one half, the likeliest class of a pair of two is that of neither alone."""
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(1, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.mean((1, 2, 3)))
            return self.head(x.mean((1, 2, 3))[:, None])

    still = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    faces, labels = np.zeros((64, 48, 48), np.uint8), np.zeros(64, np.uint8)
    faces[::2] = 255
    for mixup in (0.0, 1e4):
        run = Trainer(Spy(), SPEC, Recipe(epochs=1, batch_size=64, mixup=mixup, augmentation=still))
        run.run_epoch((faces, labels), (faces[:1], labels[:1]))
    plain, mixed = (sorted({round(value, 1) for value in step.tolist()}) for step in (seen[0], seen[2]))
    assert plain == [-2.0, 2.0]
    assert len(mixed) > 2
    assert min(abs(value) for value in mixed) < 0.1


def test_a_mixed_face_is_mostly_the_one_whose_label_is_counted():
    class Brightness(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor([-1.0, 1, 0, 0, 0, 0, 0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((1, 2, 3))[:, None] * self.gain

    still = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    labels = (np.arange(64) % 2).astype(np.uint8)
    faces = np.repeat(labels * 255, 48 * 48).astype(np.uint8).reshape(64, 48, 48)
    recipe = Recipe(epochs=1, batch_size=4, mixup=1.0, augmentation=still, learning_rate=1e-6)
    epoch = Trainer(Brightness(), SPEC, recipe).run_epoch((faces, labels), (faces[:1], labels[:1]))
    assert epoch.measures["train_accuracy"] == 1


def test_a_dataset_of_another_size_is_fitted_to_the_network():
    spec = ModelSpec("simple_cnn", height=32, width=32, channels=3, mean=(128.0,) * 3, scale=(64.0,) * 3)
    run = Trainer(find_model("simple_cnn").build(spec), spec, Recipe(epochs=1, batch_size=16))
    assert np.isfinite(run.run_epoch(data(), data()).train_loss)


def test_a_regression_learns_values():
    spec = ModelSpec("simple_cnn", ("valence", "arousal"), "regression", output="affect")
    faces = data(64)[0]
    level = faces.mean((1, 2)).astype(np.float32)
    values = np.stack([level, -level], 1) / level.max()
    torch.manual_seed(0)
    still = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    for loss in ("mse", "ccc"):
        recipe = Recipe(30, 16, 0.002, loss=loss, ema_decay=0.5, augmentation=still)
        run = Trainer(find_model("simple_cnn").build(spec), spec, recipe)
        epochs = [run.run_epoch((faces, values), (faces, values)) for _ in range(30)]
        assert epochs[-1].score > 0.9 > epochs[0].score
        assert set(epochs[-1].measures) == {
            f"{split}_{name}_{measure}"
            for split in ("train", "validation")
            for name in spec.labels
            for measure in ("rmse", "pcc", "ccc")
        }


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    run = trainer(Recipe(epochs=2, batch_size=16, learning_rate=1.0, warmup=0.5))
    rates = []
    for step in range(100):
        run._set_learning_rate(step, 100)
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (49, 50)
    assert rates[-1] < 0.002


def test_logits_of_no_faces_are_empty():
    assert logits(trainer().network, SPEC, np.empty((0, 48, 48), np.uint8)).shape == (0, 7)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -1.0),
        ("patience", -3),
        ("ema_decay", 1.0),
        ("warmup", -0.1),
        ("temperature", 0.0),
        ("distillation", 1.5),
        ("mixup", -0.1),
        ("stop", -1),
        ("learning_rate", float("inf")),
        ("seed", -1),
        ("seed", 10**15),
        ("loss", "mae"),
    ],
)
def test_a_recipe_refuses_what_cannot_work(field, value):
    with pytest.raises(ConfigError, match=field):
        Recipe(**{field: value})
