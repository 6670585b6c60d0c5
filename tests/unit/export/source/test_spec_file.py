"""The spec of a user's own network: what it must say, and how a mistake is told."""

from __future__ import annotations

import json

import pytest

from fer_engine.errors import ConfigError
from fer_export.source import spec_file


@pytest.fixture
def write(tmp_path):
    def save(**changes):
        fields = json.loads(spec_file.example_spec()) | changes
        path = tmp_path / "spec.json"
        path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
        return path

    return save


def test_the_example_is_a_spec(write):
    spec = spec_file.read_spec(
        write(labels=["calm", "tense"], height=64, channels=3, mean=[1, 2, 3], scale=[4, 5, 6])
    )
    assert (spec.name, spec.labels, spec.face_shape) == ("my_net", ("calm", "tense"), (64, 48, 3))
    assert (spec.mean, spec.scale) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_a_spec_of_ours_will_do_and_its_hash_does_not_count(write):
    spec = spec_file.read_spec(write(checkpoint_sha256="0" * 64, format_version=1, output="scores", opset=20))
    assert (spec.checkpoint_sha256, spec.output, spec.opset) == ("", "scores", 20)


@pytest.mark.parametrize("name", spec_file.REQUIRED)
def test_nothing_that_its_owner_alone_knows_has_a_default(write, name):
    with pytest.raises(
        ConfigError, match=rf"lacks {name} and has the unknown fields none; write it as .*my_net"
    ):
        spec_file.read_spec(write(**{name: None}))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": 7}, "unknown fields classes"),
        ({"mean": [0, 0]}, "one finite mean and one finite non-zero scale a channel"),
        ({"height": "48"}, "'height' must be a whole number"),
        ({"task": "guessing"}, "task 'guessing'"),
        ({"labels": ["a", "a"]}, "distinct labels"),
        ({"name": "../elsewhere"}, "expected letters, digits"),
        ({"name": ".hidden"}, "expected letters, digits"),
        ({"output": ""}, "has the output '', expected letters, digits"),
        ({"output": "faces"}, "has the output 'faces', .* and not faces, which is the input"),
        ({"labels": ["a", ""]}, "labels of printable characters"),
    ],
)
def test_a_wrong_field_is_told(write, changes, text):
    with pytest.raises(ConfigError, match=text):
        spec_file.read_spec(write(**changes))


def test_a_file_that_is_missing_or_no_json_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the spec .*write one as"):
        spec_file.read_spec(tmp_path / "none.json")
    for text in ("{", "[]", "7"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match=r"is not JSON|lacks name"):
            spec_file.read_spec(tmp_path / "bad.json")


def test_a_byte_order_mark_does_not_matter(write):
    path = write()
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert spec_file.read_spec(path).name == "my_net"


def test_a_temperature_is_kept(write):
    assert spec_file.read_spec(write(temperature=1.5)).temperature == 1.5
    assert spec_file.read_spec(write()).temperature == 1.0
    with pytest.raises(ConfigError, match=r"finite temperature above 0, got 0"):
        spec_file.read_spec(write(temperature=0))
