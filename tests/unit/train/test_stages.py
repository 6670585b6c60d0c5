from __future__ import annotations

import pytest

from fer_engine.errors import ConfigError
from fer_train.models import find_model
from fer_train.recipe import QAT, Recipe
from fer_train.stages import Stage, read_stages, shipped_recipes, stage_from_options

TWO = """
[[stage]]
name = "teacher"
model = "fer_teacher"
epochs = 3

[[stage]]
name = "student"
model = "mini_xception"
teacher = "teacher"
learning_rate = 1
[stage.augmentation]
rotation = 5
"""


def write(path, text: str) -> str:
    (path / "my.toml").write_text(text)
    return str(path / "my.toml")


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_can_be_read_and_ends_with_its_network(name):
    stages = read_stages(name, {})
    assert stages[-1].model == name.removesuffix("_plain")
    for stage in stages:
        find_model(stage.model)


def test_a_file_sets_what_it_names_and_leaves_the_defaults(tmp_path):
    teacher, student = read_stages(write(tmp_path, TWO), {})
    assert teacher == Stage("teacher", "fer_teacher", Recipe(epochs=3))
    assert (student.teacher, student.init, student.threads) == (("teacher",), None, 1)
    assert student.recipe.learning_rate == 1.0
    assert student.recipe.augmentation.rotation == 5.0
    assert student.recipe.augmentation.shift == Recipe().augmentation.shift


def test_options_go_before_the_file_in_every_stage(tmp_path):
    stages = read_stages(write(tmp_path, TWO), {"epochs": 7, "rotation": 1.0, "threads": 2, "data": "x"})
    assert [stage.recipe.epochs for stage in stages] == [7, 7]
    assert [stage.recipe.augmentation.rotation for stage in stages] == [1.0, 1.0]
    assert [stage.threads for stage in stages] == [2, 2]


def test_options_alone_make_one_stage():
    stage = stage_from_options({"model": "cnn3", "qat": True, "epochs": 2})
    assert (stage.model, stage.recipe.epochs, stage.recipe.learning_rate) == ("cnn3", 2, QAT.learning_rate)


ONE = '[[stage]]\nname = "a"\nmodel = "cnn3"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[stage", "is no TOML file"),
        ("epochs = 3", "must hold .* tables and nothing else, got epochs"),
        ("stage = [1]", "must hold"),
        ("", "got none"),
        ("[[stage]]\nname = 'a'", "stage 1: model missing"),
        (ONE + "epoch = 3", "stage 1: unknown epoch; known: .*epochs"),
        (ONE + "epochs = 0", "stage 1: epochs must be at least 1, got 0"),
        (ONE + "epochs = 'three'", "stage 1: epochs must be a whole number, got 'three'"),
        (ONE + "bf16 = 1", "stage 1: bf16 must be true or false, got 1"),
        (ONE + "augmentation = 1", "stage 1: augmentation must be an object, got 1"),
        (ONE + "augmentation = { tilt = 1.0 }", "stage 1: unknown tilt; known: .*rotation"),
        (ONE + "init = 'b'", r"stage 1: init is 'b', expected an earlier stage \(there is none\)"),
        (ONE + "teacher = ['b']", r"stage 1: teacher is 'b', expected an earlier stage"),
        (ONE + "teacher = ['b', 2]", r"stage 1: teacher\[1\] must be a text, got 2"),
        (
            ONE + ONE.replace('"a"', '"b"').replace("cnn3", "simple_cnn") + "init = 'a'",
            "stage 2: init 'a' is cnn3, expected a stage of simple_cnn",
        ),
        (
            ONE + ONE.replace('"a"', '"b"').replace("cnn3", "resnet34_48") + "teacher = 'a'",
            "stage 2: teacher 'a' is cnn3, which takes other faces or another normalization than resnet34_48",
        ),
        (ONE.replace("cnn3", "cnn4") + ONE.replace('"a"', '"b"') + "teacher = 'a'", "unknown model 'cnn4'"),
        (ONE + ONE, "stage 2: the name 'a' is taken"),
        (ONE.replace('"a"', '"best"'), "stage 1: the name is 'best', expected letters"),
        (ONE.replace('"a"', '"../x"'), r"stage 1: the name is '\.\./x', expected letters"),
        (ONE.replace('"a"', '""'), "stage 1: the name is '', expected letters"),
    ],
)
def test_what_a_recipe_cannot_mean_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_stages(write(tmp_path, text), {})


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"no recipe 'nope'.*one of .*simple_cnn"):
        read_stages("nope", {})
