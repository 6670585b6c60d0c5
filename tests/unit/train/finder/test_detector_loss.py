import pytest
import torch

from fer_train.finder.composites import ABSENT, FACE, IGNORED
from fer_train.finder.detector_loss import assign, loss
from fer_train.models.face_detector import STEP, grid

SIDE = 96
ANCHORS = grid(SIDE, SIDE)


def boxes(*rows):
    padded = torch.full((1, 3, 5), ABSENT)
    for index, row in enumerate(rows):
        padded[0, index] = torch.tensor(row, dtype=torch.float32)
    return padded


@pytest.mark.parametrize(("side", "stride"), [(12, 8), (44, 16), (90, 32)])
def test_each_size_of_face_is_answered_for_at_its_stride(side, stride):
    low = (SIDE - side) / 2
    answers, _, targets = assign(boxes((low, low, low + side, low + side, FACE)), ANCHORS)
    assert answers.any()
    assert set(ANCHORS[answers[0], 2].tolist()) == {stride}
    assert targets[answers].tolist() == [[SIDE / 2, SIDE / 2, side, side]] * int(answers.sum())


def test_anchors_in_the_middle_answer_those_further_out_are_ignored_and_a_doubtful_face_teaches_nothing():
    answers, ignored, _ = assign(boxes((28, 28, 68, 68, FACE)), ANCHORS)
    away = (ANCHORS[:, :2] - 48).abs().amax(1)
    assert away[answers[0]].max() <= 0.36 * 20 + 8
    assert ignored.any()
    assert not (answers & ignored).any()
    answers, ignored, _ = assign(boxes((28, 28, 68, 68, IGNORED)), ANCHORS)
    assert not answers.any()
    assert ignored[0, (away < 19) & (ANCHORS[:, 2] == 16)].all()


def test_the_right_answer_has_hardly_any_loss_and_each_error_raises_it():
    wanted = boxes((30, 26, 70, 74, FACE))
    answers, _, targets = assign(wanted, ANCHORS)
    raw = torch.zeros(1, len(ANCHORS), 5)
    raw[..., 0] = torch.where(answers, 12.0, -12.0)
    size = ANCHORS[:, 3:4]
    raw[..., 1:3] = (targets[..., :2] - ANCHORS[:, :2]) / (size * STEP)
    raw[..., 3:5] = torch.log(targets[..., 2:].clamp(min=1) / size)
    right = loss(raw, wanted, ANCHORS)
    assert right < 1e-3
    for column, change in ((0, -20.0), (1, 0.5), (3, 0.3)):
        wrong = raw.clone()
        wrong[0, answers[0], column] += change
        assert loss(wrong, wanted, ANCHORS) > right + 0.1
    seen = raw.clone()
    seen[0, 0, 0] = 5.0  # a face in a corner where none is
    assert loss(seen, wanted, ANCHORS) > right + 0.1


def test_a_picture_without_faces_has_a_loss_that_can_be_descended():
    raw = torch.zeros(2, len(ANCHORS), 5, requires_grad=True)
    error = loss(raw, torch.full((2, 3, 5), ABSENT), ANCHORS)
    error.backward()
    assert torch.isfinite(raw.grad).all()
    assert (raw.grad[..., 0] > 0).all()
