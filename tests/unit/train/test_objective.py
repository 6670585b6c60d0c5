from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from fer_engine.artifact.spec import AFFECT, ModelSpec
from fer_engine.errors import ConfigError
from fer_train.objective import concordance, correlation, find_objective
from fer_train.recipe import Recipe

AFFECT_SPEC = ModelSpec("face_cnn", AFFECT, "regression", output="affect")
RANDOM = torch.Generator().manual_seed(0)
TRUTH = torch.rand(200, 2, generator=RANDOM) * 2 - 1
GUESS = TRUTH * 0.6 + torch.rand(200, 2, generator=RANDOM) * 0.5


def test_correlation_is_pearson_s():
    expected = [stats.pearsonr(TRUTH[:, k], GUESS[:, k]).statistic for k in range(2)]
    assert correlation(TRUTH, GUESS).tolist() == pytest.approx(expected, abs=1e-5)


def test_concordance_is_lin_s_formula():
    a, b = TRUTH.double().numpy(), GUESS.double().numpy()
    covariance = ((a - a.mean(0)) * (b - b.mean(0))).mean(0)
    expected = 2 * covariance / (a.var(0) + b.var(0) + (a.mean(0) - b.mean(0)) ** 2)
    assert concordance(TRUTH, GUESS).tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert concordance(TRUTH, TRUTH).tolist() == pytest.approx([1, 1])
    assert (concordance(TRUTH, TRUTH + 0.5) < correlation(TRUTH, TRUTH + 0.5) - 0.1).all()


def test_values_that_do_not_vary_have_no_correlation():
    constant = torch.full((5, 1), 0.3)
    varied = torch.arange(5.0)[:, None]
    for measure in (correlation, concordance):
        assert measure(constant, varied).tolist() == [0]
    constant.requires_grad_()
    concordance(constant, varied).sum().backward()
    assert constant.grad is not None
    assert constant.grad.isfinite().all()


def test_a_regression_measures_every_label():
    measures = find_objective(AFFECT_SPEC, Recipe()).measures(GUESS, TRUTH)
    error = np.sqrt(np.mean((GUESS - TRUTH).numpy() ** 2, 0))
    assert measures["valence_rmse"] == pytest.approx(error[0], rel=1e-5)
    assert measures["arousal_rmse"] == pytest.approx(error[1], rel=1e-5)
    score = find_objective(AFFECT_SPEC, Recipe()).score(measures)
    assert score == pytest.approx((measures["valence_ccc"] + measures["arousal_ccc"]) / 2)


def test_the_losses_of_a_regression():
    squared = find_objective(AFFECT_SPEC, Recipe()).loss(GUESS, TRUTH)
    assert float(squared) == pytest.approx(float(((GUESS - TRUTH) ** 2).mean()))
    discordance = find_objective(AFFECT_SPEC, Recipe(loss="ccc")).loss(GUESS, TRUTH)
    assert float(discordance) == pytest.approx(float(1 - concordance(GUESS, TRUTH).mean()))


def test_label_smoothing_helps_training_alone():
    outputs, target = torch.tensor([[3.0, -1.0]]), torch.tensor([0])
    objective = find_objective(ModelSpec("simple_cnn"), Recipe(label_smoothing=0.2))
    assert objective.loss(outputs, target) > objective.error(outputs, target)


def test_a_loss_of_regressions_is_refused_for_classes():
    with pytest.raises(ConfigError, match="loss 'ccc' is for regressions, simple_cnn has classes"):
        find_objective(ModelSpec("simple_cnn"), Recipe(loss="ccc"))
