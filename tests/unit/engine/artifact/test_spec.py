import dataclasses

import pytest

from fer_engine import ArtifactError, ModelSpec

COLOUR = ModelSpec("net", channels=3, mean=(1.0, 2.0, 3.0), scale=(4.0, 5.0, 6.0), labels=("a", "b"))


@pytest.mark.parametrize("spec", [ModelSpec("net"), COLOUR, ModelSpec("net", task="regression")])
def test_survives_json(spec):
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_a_temperature_survives_json_and_files_of_earlier_releases_have_none():
    warm = dataclasses.replace(COLOUR, temperature=1.25)
    assert ModelSpec.from_json(warm.to_json()) == warm
    assert "temperature" not in COLOUR.to_json()  # as an earlier release wrote it, and reads it
    assert ModelSpec.from_json(COLOUR.to_json()).temperature == 1


def test_face_shape_has_channels_for_colour_only():
    assert ModelSpec("net").face_shape == (48, 48)
    assert COLOUR.face_shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "spec needs a finite temperature above 0, got 0.0"),
        ({"temperature": float("nan")}, "spec needs a finite temperature above 0, got nan"),
        ({"temperature": float("inf")}, "spec needs a finite temperature above 0, got inf"),
        ({"temperature": 2.0, "task": "regression"}, "only the logits of a classification have one"),
        ({"task": "ranking"}, "spec has task 'ranking', expected one of classification, regression"),
        ({"labels": ()}, "spec needs distinct labels, got []"),
        ({"labels": ("a", "a")}, "spec needs distinct labels, got ['a', 'a']"),
        ({"labels": ("a", " ")}, "spec needs labels of printable characters, got ['a', ' ']"),
        ({"labels": ("a", "b\n")}, "spec needs labels of printable characters, got ['a', 'b\\n']"),
        ({"height": 0}, "spec has input 0x48 with 1 channels"),
        ({"height": 10**12}, "x48 with 1 channels, expected sides of 1 to 8192"),
        ({"channels": 2}, "with 2 channels, expected sides of 1 to 8192 and 1 (gray) or 3 (RGB) channels"),
        (
            {"mean": (1.0, 2.0)},
            "finite non-zero scale a channel (1), got mean [1.0, 2.0]",
        ),
        (
            {"mean": (float("nan"),)},
            "finite non-zero scale a channel (1), got mean [nan]",
        ),
        ({"scale": (0.0,)}, "scale [0.0]"),
        ({"format_version": 2}, "spec has format version 2, this release reads 1"),
    ],
)
def test_refuses_impossible_values(changes, message):
    with pytest.raises(ArtifactError) as caught:
        dataclasses.replace(ModelSpec("net"), **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": "48"}, "spec field 'height' must be a whole number, got '48'"),
        ({"height": True}, "spec field 'height' must be a whole number, got True"),
        ({"labels": "angry"}, "spec field 'labels' must be a list, got 'angry'"),
        ({"mean": [10**400]}, "spec field 'mean[0]' must be a number, got one that is too large"),
        ({"labels": [1]}, "spec field 'labels[0]' must be a text, got 1"),
        ({"surprise": 1}, "spec must be an object with the keys"),
    ],
)
def test_refuses_json_of_the_wrong_types(changes, message):
    with pytest.raises(ArtifactError) as caught:
        ModelSpec.from_json(ModelSpec("net").to_json() | changes)
    assert message in str(caught.value)


def test_refuses_a_missing_field_and_other_json():
    data = ModelSpec("net").to_json()
    del data["mean"]
    with pytest.raises(ArtifactError, match=r"spec must be an object with the keys"):
        ModelSpec.from_json(data)
    with pytest.raises(ArtifactError, match=r"got \[\]"):
        ModelSpec.loads("[]")
    with pytest.raises(ArtifactError, match=r"spec is not JSON"):
        ModelSpec.loads("{")


def test_a_detection_gives_five_values_for_each_anchor():
    spec = ModelSpec("boxes", ("face",), "detection", height=32, width=64, output="boxes")
    assert spec.anchors == 4 * 8 + 2 * 4 + 1 * 2
    assert spec.outputs == 5 * spec.anchors
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_other_tasks_give_a_value_for_each_label():
    assert (ModelSpec("net").outputs, ModelSpec("net").anchors) == (7, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"labels": ("face", "hand")}, "one label"), ({"height": 48}, "48x288, expected sides .* of 32")],
)
def test_refuses_a_detection_without_whole_grids_or_with_many_labels(changes, message):
    given = {"labels": ("face",), "task": "detection", "height": 288, "width": 288} | changes
    with pytest.raises(ArtifactError, match=message):
        ModelSpec("boxes", **given)
