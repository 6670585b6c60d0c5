"""Trains the face detector on composites."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fer_engine.artifact.spec import ModelSpec
from fer_train.finder.composites import ABSENT, Composites
from fer_train.finder.descent import Descent
from fer_train.finder.detector_loss import loss
from fer_train.models.face_detector import FaceDetector, grid

LOG = logging.getLogger(__name__)
LEARNING_RATE = 3e-3
COOLING = 0.35
PIXELS = 32 * 160 * 160  # of a batch: as many pictures as make so many
MARGIN = 4  # pixels by which a picture is moved at most
LOGGED = 200  # steps


def train_detector(
    pools: Sequence[tuple[Composites, float]],
    spec: ModelSpec,
    steps: int,
    seed: int,
    start: FaceDetector | None = None,
) -> FaceDetector:
    """Return a trained detector.

    Args:
        pools: Composites of one size each, and the share of the batches that each gives.
        spec: The detector's.
        steps: Batches of 32 pictures of 160x160, or fewer larger ones.
        seed: Of all random numbers.
        start: The detector whose weights to start from; None for random ones.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = FaceDetector(spec)
    if start is not None:
        network.load_state_dict(start.state_dict())
    descent = Descent(network, LEARNING_RATE, steps, COOLING)
    shares = np.array([share for _, share in pools])
    anchors = {pool.images.shape[1:]: grid(*pool.images.shape[1:]) for pool, _ in pools}
    total = 0.0
    for step in range(1, steps + 1):
        pool = pools[rng.choice(len(pools), p=shares / shares.sum())][0]
        size = pool.images.shape[1:]
        rows = rng.integers(0, len(pool.images), max(4, PIXELS // (size[0] * size[1])))
        pictures, boxes = changed(
            torch.from_numpy(pool.images[rows]), torch.from_numpy(pool.boxes[rows]), rng
        )
        inputs = ((pictures - spec.mean[0]) / spec.scale[0]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            raw = descent.network.raw(inputs)
        error = loss(raw.float(), boxes, anchors[size])
        descent.step(error)
        total += float(error.detach())
        if step % LOGGED == 0:
            LOG.info("detector: step %d of %d, loss %.4f", step, steps, total / LOGGED)
            total = 0.0
    return descent.average


def changed(pictures: Tensor, boxes: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return pictures, float32 [n, 1, side, side], mirrored, moved and in another light, and their boxes."""
    pictures, boxes = pictures.float()[:, None], boxes.clone()
    real, side = boxes[..., 4] != ABSENT, pictures.shape[-1]
    if rng.random() < 0.5:
        pictures = pictures.flip(3)
        mirrored = torch.stack([side - boxes[..., 2], side - boxes[..., 0]], -1)
        boxes[..., [0, 2]] = torch.where(real[..., None], mirrored, boxes[..., [0, 2]])
    count = len(pictures)
    gain, offset = torch.exp(torch.randn(count, 1, 1, 1) * 0.2), torch.randn(count, 1, 1, 1) * 18
    pictures = (pictures - 128) * gain + 128 + offset
    if rng.random() < 0.3:
        pictures = pictures + torch.randn_like(pictures) * float(rng.uniform(1, 9))
    if rng.random() < 0.12:
        pictures = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    pictures = pictures.clamp(0, 255)
    if rng.random() < 0.5:  # the strides' grid must not know where faces lie
        right, down = (int(value) for value in rng.integers(0, 2 * MARGIN, 2))
        padding = (right, 2 * MARGIN - right, down, 2 * MARGIN - down)
        pictures = functional.pad(pictures, padding, mode="replicate")
        pictures = pictures[:, :, MARGIN : MARGIN + side, MARGIN : MARGIN + side]
        moved = torch.tensor([right, down, right, down], dtype=torch.float32) - MARGIN
        boxes[..., :4] += torch.where(real[..., None], moved, torch.zeros(4))
    return pictures, boxes
