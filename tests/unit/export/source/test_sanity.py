"""What a network's answers must be like before anything is held against them."""

from __future__ import annotations

import numpy as np
import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_export.source.sanity import check_logits, check_repeats

SPEC = ModelSpec("given", ("calm", "glad", "tense"))
LOGITS = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
FACES = np.random.default_rng(0).integers(0, 256, (40, 48, 48), dtype=np.uint8)


def answer(faces):
    return (faces.reshape(len(faces), 3, -1).mean(2) / 64).astype(np.float32)


def test_logits_of_any_sign_and_of_a_log_softmax_pass():
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    for logits in (LOGITS, np.abs(LOGITS), np.log(shares)):
        check_logits(logits, SPEC)


def test_probabilities_by_other_means_than_a_softmax_are_told_by_their_values():
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    with pytest.raises(ConfigError, match="given gives probabilities: no value is negative"):
        check_logits(shares, SPEC)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_told(value):
    broken = LOGITS.copy()
    broken[[3, 7], 1] = value
    with pytest.raises(ConfigError, match="given gives NaN or infinity for 2 of 50 faces"):
        check_logits(broken, SPEC)


def test_one_answer_for_all_faces_is_told():
    with pytest.raises(ConfigError, match="given gives the same values for all 50 faces"):
        check_logits(np.repeat(LOGITS[:1], 50, 0), SPEC)


def test_an_answer_that_depends_on_the_face_alone_passes():
    check_repeats(answer, FACES, "given")


def test_an_answer_that_is_drawn_is_told():
    random = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="given gives other values when it is run twice"):
        check_repeats(lambda faces: answer(faces) * random.uniform(0.5, 2), FACES, "given")


def test_an_answer_that_depends_on_the_others_in_the_batch_is_told():
    with pytest.raises(ConfigError, match="given gives values for a face that depend on the others"):
        check_repeats(lambda faces: answer(faces) - answer(faces).mean(0), FACES, "given")
