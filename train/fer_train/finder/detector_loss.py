"""What a face detector learns: which anchors answer for which face, and the error of their answers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fer_train.finder.composites import FACE, IGNORED
from fer_train.models.face_detector import STRIDES, decode

SIZES = ((0.0, 34.0), (26.0, 78.0), (62.0, float("inf")))  # pixels of face that each stride answers for
CENTRE, NEAR = 0.36, 0.72  # of a box's half: anchors within answer for it; those up to the second are ignored
SLACK = 1.6  # beyond its sizes by this factor a stride is not taught that there is no face
GIVEN, ELSE = 0.6, 0.4  # weights of anchors with and without a face in the focal loss
SCORE_WEIGHT, L1_WEIGHT = 2.0, 0.3


def loss(raw: Tensor, boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return the loss of what the heads give, [n, anchors, 5], for boxes, float32 [n, m, 5].

    Focal loss of the scores (T.-Y. Lin et al., "Focal Loss for Dense Object Detection", 2017), and for the
    boxes 1 - IoU and the relative error of centre and log size.
    """
    answers, ignored, targets = assign(boxes, anchors)
    logits = raw[..., 0]
    score = torch.sigmoid(logits).detach()
    weight = torch.where(answers, GIVEN * (1 - score) ** 2, torch.where(ignored, 0.0, ELSE * score**2))
    error = functional.binary_cross_entropy_with_logits(logits, answers.float(), reduction="none")
    total = SCORE_WEIGHT * (weight * error).sum() / answers.sum().clamp(min=1)
    if not answers.any():
        return total
    centres, sizes = (part[answers] for part in decode(raw, anchors))
    wanted_centres, wanted_sizes = targets[answers][:, :2], targets[answers][:, 2:]
    low = torch.maximum(centres - sizes / 2, wanted_centres - wanted_sizes / 2)
    high = torch.minimum(centres + sizes / 2, wanted_centres + wanted_sizes / 2)
    shared = (high - low).clamp(min=0).prod(1)
    iou = shared / (sizes.prod(1) + wanted_sizes.prod(1) - shared)
    moved = ((centres - wanted_centres) / wanted_sizes).abs().sum(1)
    scaled = torch.log(sizes / wanted_sizes).abs().sum(1)
    return total + (1 - iou).mean() + L1_WEIGHT * (moved + scaled).mean()


def assign(boxes: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return which anchors answer for a face, which are ignored, and the face of each that answers.

    An anchor answers for the face in whose middle it lies if its stride is for faces of that size. bool
    [n, anchors] twice, then centre and size, float32 [n, anchors, 4].
    """
    centres, sizes = (boxes[..., :2] + boxes[..., 2:4]) / 2, (boxes[..., 2:4] - boxes[..., :2]).clamp(min=1)
    face, may_be = (boxes[..., 4] == FACE)[:, None], (boxes[..., 4] == IGNORED)[:, None]
    away = (anchors[None, :, None, :2] - centres[:, None]).abs()  # [n, anchors, m, 2]
    share = (away / (sizes[:, None] / 2)).amax(-1)
    closest = (away <= anchors[None, :, None, 2:3] / 2).all(
        -1
    )  # of a small face no anchor may be in its middle
    level = torch.log2(anchors[:, 2] / STRIDES[0]).round().long()
    low, high = (torch.tensor(ends)[level][None, :, None] for ends in zip(*SIZES, strict=True))
    side = sizes.prod(-1).sqrt()[:, None]
    answering = ((share < CENTRE) | closest) & (side >= low) & (side <= high) & face
    tolerated = ((share < NEAR) | closest) & (side >= low / SLACK) & (side <= high * SLACK) & (face | may_be)
    nearest, index = torch.where(answering, share, torch.inf).min(-1)
    answers = torch.isfinite(nearest)
    ignored = (tolerated | (may_be & (share < 1))).any(-1) & ~answers
    targets = torch.cat([centres, sizes], -1)
    return answers, ignored, torch.gather(targets, 1, index[..., None].expand(-1, -1, 4))
