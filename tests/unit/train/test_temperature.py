"""The temperature of a classifier: fitted on faces that trained nothing, and written into the spec."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_train import checkpoint
from fer_train.data import Dataset
from fer_train.loop import logits
from fer_train.models import find_model
from fer_train.recipe import Recipe
from fer_train.temperature import HIGHEST, LOWEST, calibrate, calibrate_copy, fit_temperature, held_out

SPEC = ModelSpec("simple_cnn")
HELD = Recipe(hold_out=0.5)


def drawn(count: int = 20_000, classes: int = 7):
    """Return logits, and labels one-hot that are drawn from their softmax: calibrated by construction."""
    random = np.random.default_rng(0)
    outputs = random.normal(0, 2, (count, classes))
    labels = (outputs + random.gumbel(size=outputs.shape)).argmax(1)
    return outputs, np.eye(classes)[labels]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_fit_finds_a_known_temperature(temperature):
    outputs, targets = drawn()
    fit = fit_temperature(outputs * temperature, targets)
    assert fit.temperature == pytest.approx(temperature, rel=0.03)
    assert fit.faces == len(outputs)
    assert fit.ece_after < 0.015
    if temperature != 1:
        assert fit.ece_before > 0.05


def test_the_fit_takes_distributions_of_votes():
    outputs, _ = drawn()
    powers = np.exp(outputs)
    fit = fit_temperature(outputs * 3, powers / powers.sum(1, keepdims=True))
    assert fit.temperature == pytest.approx(3, abs=1e-3)
    assert fit.ece_after == pytest.approx(0, abs=1e-4)


def test_the_fit_stays_in_its_limits():
    outputs = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(outputs, np.eye(2)).temperature == LOWEST
    assert fit_temperature(outputs, np.eye(2)[::-1]).temperature == HIGHEST


@pytest.fixture
def dataset():
    random = np.random.default_rng(0)
    usage = np.where(np.arange(210) % 3 == 0, "PublicTest", "Training")
    images = random.integers(0, 256, (210, 48, 48), dtype=np.uint8)
    return Dataset(images, (np.arange(210) % 7).astype(np.uint8), usage, "made.npz")


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "best", find_model("simple_cnn").build(SPEC), SPEC)
    return tmp_path / "best"


def test_a_copy_is_calibrated_and_the_checkpoint_stays_as_it_was(folder, dataset, tmp_path):
    before = (folder / "spec.json").read_text()
    fit = calibrate_copy(folder, tmp_path / "new", dataset, HELD)
    network, spec = checkpoint.load(tmp_path / "new")
    assert (folder / "spec.json").read_text() == before
    assert "temperature" not in before
    assert spec.temperature == fit.temperature != 1
    chosen = held_out(dataset, 0.5)
    assert fit.faces == chosen.sum() == 70
    outputs = logits(
        network, dataclasses.replace(spec, temperature=1.0), dataset.split("Training")[0][chosen]
    )
    labels = np.eye(7)[dataset.split("Training")[1][chosen]]
    assert fit_temperature(outputs, labels) == fit
    assert calibrate(tmp_path / "new", dataset, HELD) == fit  # from the network's own logits again
    with pytest.raises(ConfigError, match="is there already"):
        calibrate_copy(folder, tmp_path / "new", dataset, HELD)


def test_votes_are_what_is_right_by_their_weight(folder, dataset):
    votes = np.zeros((210, 10), np.uint8)
    votes[:, 1] = 10  # all see happiness
    votes[1::7] = 0  # and nobody anything in these
    voted = dataclasses.replace(dataset, votes=votes)
    by_labels, by_votes = calibrate(folder, dataset, HELD), calibrate(folder, voted, HELD)
    assert by_votes.faces < by_labels.faces
    assert by_votes.temperature != by_labels.temperature
    assert calibrate(folder, voted, dataclasses.replace(HELD, vote_weight=0.0)) == by_labels


def test_what_cannot_be_calibrated_is_refused(folder, dataset, tmp_path):
    with pytest.raises(ConfigError, match="no faces to calibrate on: say with --hold-out"):
        calibrate(folder, dataset, Recipe())
    values = dataclasses.replace(SPEC, task="regression", labels=("valence",), output="affect")
    checkpoint.save(tmp_path / "values", find_model("simple_cnn").build(values), values)
    with pytest.raises(ConfigError, match="is a regression, which has no probabilities to calibrate"):
        calibrate_copy(tmp_path / "values", tmp_path / "out", dataset, HELD)
    assert not (tmp_path / "out").exists()
    path = folder / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"labels": list("abcdefg")}))
    with pytest.raises(ConfigError, match="has the labels a, b, c"):
        calibrate(folder, dataset, HELD)
