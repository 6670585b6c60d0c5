"""Flip averaging: the mean of the logits of a face and of its mirror image, asked for and told by name."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine import ConfigError, Engine


@pytest.mark.parametrize("name", ["artifact", "colour_artifact"])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("count", [0, 1, 3, 101])
def test_logits_are_the_mean_of_a_face_and_its_mirror_image(request, name, backend, count):
    artifact = request.getfixturevalue(name)
    faces = artifact.faces(count)
    mirrored = np.stack([np.fliplr(face) for face in faces]) if count else faces
    expected = (artifact.logits(faces) + artifact.logits(mirrored)) / 2
    with Engine.load(artifact.folder, backend=backend, threads=2, tta="flip") as engine:
        logits = engine.logits(faces)
        assert logits.dtype == np.float32
        np.testing.assert_array_equal(logits, expected)
        labels = [artifact.spec.labels[index] for index in expected.argmax(1)]
        assert engine.predict(faces).labels == labels


def test_a_face_and_its_mirror_image_get_the_same_answer(artifact):
    faces = artifact.faces(20)
    with Engine.load(artifact.folder, tta="flip") as engine:
        np.testing.assert_array_equal(engine.logits(faces), engine.logits(faces[:, :, ::-1]))


def test_info_tells_it_and_nothing_is_flipped_unless_asked(artifact):
    faces = artifact.faces(20)
    with Engine.load(artifact.folder) as engine:
        assert engine.info.tta == "none"
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))
    with Engine.load(artifact.folder, tta="flip") as engine:
        assert engine.info.tta == "flip"


def test_an_unknown_augmentation_is_refused(artifact):
    with pytest.raises(ConfigError, match="tta must be one of none, flip, got 'ten-crop'"):
        Engine.load(artifact.folder, tta="ten-crop")
