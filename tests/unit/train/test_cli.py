"""fer-train's options, without a training."""

from __future__ import annotations

import dataclasses

from fer_train import cli
from fer_train.recipe import Augmentation, Recipe


def test_every_option_says_what_it_does_and_its_default():
    for action in cli._parser()._actions:
        assert action.help, action.option_strings
        if action.option_strings[-1] not in ("--help", "--version", "--data"):
            assert "(default: " in action.help, action.option_strings


def test_every_field_of_a_recipe_but_the_warm_up_is_an_option_with_its_default():
    assert set(cli.RECIPE) == {field.name for field in dataclasses.fields(Recipe)} - {
        "warmup",
        "augmentation",
    }
    assert set(cli.AUGMENTATION) == {field.name for field in dataclasses.fields(Augmentation)}
    text = " ".join(cli._parser().format_help().split())
    assert "peak learning rate (default: 0.004)" in text
    assert "a regression: mse or ccc (default: mse)" in text


def test_the_short_forms_are_those_of_all_commands():
    options = cli._parser().parse_args(["-m", "simple_cnn", "-o", "out", "-q", "--patience", "3"])
    assert (options.model, str(options.output), options.quiet, options.patience) == (
        "simple_cnn",
        "out",
        True,
        3,
    )
    assert (options.loss, options.bf16, options.epochs) == (None, None, None)  # a recipe's own stay
