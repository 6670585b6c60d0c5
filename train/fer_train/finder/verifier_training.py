"""Trains the face verifier on crops of faces and of what the detector took for faces."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_engine.artifact.spec import ModelSpec
from fer_engine.vision.library import opencv
from fer_train.finder.descent import Descent
from fer_train.models.face_verifier import SIDE, FaceVerifier

cv2 = opencv()

LOG = logging.getLogger(__name__)
LEARNING_RATE = 2.5e-3
COOLING = 0.8
BATCH = 256
HARD = 48  # of a batch, from the hardest of the negatives
SMOOTHED = 0.02  # a few composites are none that a person would call a face
LOGGED = 200  # steps


@dataclass(frozen=True, slots=True)
class Crops:
    """What the verifier is shown, uint8 [n, 40, 40], and whether each is a face, bool [n]."""

    images: NDArray[np.uint8]
    faces: NDArray[np.bool_]


def train_verifier(
    crops: Crops,
    hard: NDArray[np.uint8],
    spec: ModelSpec,
    steps: int,
    seed: int,
    start: FaceVerifier | None = None,
) -> FaceVerifier:
    """Return a trained verifier.

    Args:
        crops: Faces and others.
        hard: Crops of others that an earlier verifier took for faces, uint8 [n, 40, 40]; they are shown more
            often. May be empty.
        spec: The verifier's.
        steps: Batches of 256 crops.
        seed: Of all random numbers.
        start: The verifier whose weights to start from; None for random ones.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = FaceVerifier(spec)
    if start is not None:
        network.load_state_dict(start.state_dict())
    descent = Descent(network, LEARNING_RATE, steps, COOLING)
    total, share = 0.0, HARD if len(hard) else 0
    for step in range(1, steps + 1):
        rows = rng.integers(0, len(crops.images), BATCH - share)
        images, faces = crops.images[rows], crops.faces[rows]
        if share:
            images = np.concatenate([images, hard[rng.integers(0, len(hard), share)]])
            faces = np.concatenate([faces, np.zeros(share, np.bool_)])
        inputs = (_changed(torch.from_numpy(images), rng) - spec.mean[0]) / spec.scale[0]
        with torch.autocast("cpu", torch.bfloat16):
            logits = descent.network(inputs.contiguous(memory_format=torch.channels_last))
        target = torch.from_numpy(faces).long()
        error = functional.cross_entropy(logits.float(), target, label_smoothing=SMOOTHED)
        descent.step(error)
        total += float(error.detach())
        if step % LOGGED == 0:
            LOG.info("verifier: step %d of %d, loss %.4f", step, steps, total / LOGGED)
            total = 0.0
    return descent.average


def faces_as_crops(faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return FER2013's faces, uint8 [n, 48, 48], as the verifier would see them, uint8 [n, 40, 40]."""
    crops = np.empty((len(faces), SIDE, SIDE), np.uint8)
    middle, own = (SIDE - 1) / 2, (faces.shape[1] - 1) / 2
    for crop, face in zip(crops, faces, strict=True):
        scale = SIDE / faces.shape[1] * np.exp(rng.normal() * 0.12 + 0.03)
        angle = np.clip(rng.normal() * 0.35, -0.8, 0.8)
        across, down = scale * np.cos(angle), scale * np.sin(angle)
        x, y = middle + rng.normal(size=2) * 1.6
        to_crop = np.array(
            [[across, down, x - own * (across + down)], [-down, across, y - own * (across - down)]]
        )
        soft = cv2.GaussianBlur(face, (0, 0), 0.6)  # a face is shrunk here
        crop[:] = cv2.warpAffine(soft, to_crop, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return crops


def _changed(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return crops, float32 [n, 1, 40, 40], mirrored, noisy, blurred and in another light."""
    crops = images.float()[:, None]
    if rng.random() < 0.5:
        crops = crops.flip(3)
    if rng.random() < 0.4:
        crops = crops + torch.randn_like(crops) * float(rng.uniform(1, 12))
    if rng.random() < 0.25:
        crops = functional.avg_pool2d(functional.pad(crops, (1, 1, 1, 1), mode="replicate"), 3, 1)
    gamma = torch.exp(torch.randn(len(crops), 1, 1, 1) * 0.25)
    return 255 * (crops.clamp(0, 255) / 255) ** gamma
