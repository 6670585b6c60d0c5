"""A face detector of 2,600 random weights that finds something in pictures of soft patches."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fer_engine.artifact.spec import STRIDES, ModelSpec

SIDE = 96
SPEC = ModelSpec("tiny_detector", labels=("face",), task="detection", height=SIDE, width=SIDE, output="boxes")
CHANNELS = 8
LOWER = 9.0  # makes most scores those of background


def _halve(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out, momentum=None),  # the plain mean of what it has seen
        nn.ReLU(),
    )


class TinyDetector(nn.Module):
    """Three maps, at strides 8, 16 and 32, the coarser added to the finer one; a head on each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(_halve(1, CHANNELS), _halve(CHANNELS, CHANNELS))
        self.maps = nn.ModuleList(_halve(CHANNELS, CHANNELS) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(CHANNELS, 5, 1) for _ in STRIDES)
        for head in self.heads:
            nn.init.normal_(head.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized pictures, float32 [n, 1, h, w], to boxes, float32 [n, 5 * anchors]."""
        x = self.stem(x)
        maps = []
        for step in self.maps:
            x = step(x)
            maps.append(x)
        finer = functional.relu(
            maps[1] + functional.interpolate(maps[2], size=maps[1].shape[2:], mode="nearest")
        )
        found = [
            _decode(head(values), stride)
            for head, values, stride in zip(self.heads, (maps[0], finer, maps[2]), STRIDES, strict=True)
        ]
        return torch.cat(found, 1).flatten(1)


def _decode(values: Tensor, stride: int) -> Tensor:
    """Return score, left, top, width and height of every cell, [n, cells, 5]."""
    height, width = values.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([columns, rows], -1).reshape(1, -1, 2)
    values = values.flatten(2).transpose(1, 2)
    score = 3 * values[..., :1] - LOWER
    size = 2 * stride * torch.exp(values[..., 3:].clamp(-1, 1) / 4)
    centre = (cells + 0.5 + values[..., 1:3].clamp(-1, 1) / 4) * stride
    return torch.cat([score, centre - size / 2, size], -1)


def tiny_detector() -> TinyDetector:
    """Return the network, its batch norm used to `pictures`, in evaluation mode."""
    network = TinyDetector().train()
    with torch.no_grad():
        for seed in range(5):
            network((torch.from_numpy(pictures(8, seed)).float()[:, None] - 128) / 64)
    return network.eval()


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw pictures of random patches with some noise, uint8 [count, 96, 96]."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 256, (count, 12, 12))
    noise = generator.normal(0, 5, (count, SIDE, SIDE))
    return np.clip(patches.repeat(8, 1).repeat(8, 2) + noise, 0, 255).astype(np.uint8)
