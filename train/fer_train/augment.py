"""Augmentation of whole batches as tensors, driven by one seeded generator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Generator, Tensor

from fer_train.recipe import Augmentation


def _uniform(n: int, limit: float, generator: Generator) -> Tensor:
    return (torch.rand(n, generator=generator) * 2 - 1) * limit


def augment(faces: Tensor, options: Augmentation, generator: Generator) -> Tensor:
    """Return changed copies of `faces`, float32 [n, c, h, w] of gray levels 0..255."""
    faces = _warp(faces, options, generator)
    n = len(faces)
    gain = 1 + _uniform(n, options.contrast, generator)
    offset = _uniform(n, options.brightness * 255, generator)
    middle = faces.mean((1, 2, 3), keepdim=True)
    faces = (faces - middle) * gain.view(n, 1, 1, 1) + middle + offset.view(n, 1, 1, 1)
    deviation = torch.rand(n, 1, 1, 1, generator=generator) * options.noise * 255
    faces = faces + torch.randn(faces.shape, generator=generator) * deviation
    return _erase(faces, options.erase, generator).clamp_(0, 255)


def _warp(faces: Tensor, options: Augmentation, generator: Generator) -> Tensor:
    n = len(faces)
    angle = _uniform(n, math.radians(options.rotation), generator)
    size = 1 + _uniform(n, options.zoom, generator)
    mirror = torch.where(torch.rand(n, generator=generator) < options.flip, -1.0, 1.0)
    matrix = torch.empty(n, 2, 3)
    matrix[:, 0, 0] = angle.cos() * size * mirror
    matrix[:, 0, 1] = -angle.sin() * size
    matrix[:, 1, 0] = angle.sin() * size * mirror
    matrix[:, 1, 1] = angle.cos() * size
    # affine_grid counts from -1 to 1, so a shift of the whole side is 2.
    matrix[:, :, 2] = (torch.rand(n, 2, generator=generator) * 2 - 1) * 2 * options.shift
    grid = functional.affine_grid(matrix, list(faces.shape), align_corners=False)
    return functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def _erase(faces: Tensor, probability: float, generator: Generator) -> Tensor:
    """Random erasing (Zhong et al., 2017) with one rectangle of each face's own mean gray."""
    n, _, height, width = faces.shape
    chosen = torch.rand(n, generator=generator) < probability
    share = torch.rand(n, 4, generator=generator)
    inside = chosen.view(n, 1, 1)
    for axis, side in enumerate((height, width)):
        extent = (0.1 + share[:, axis] * 0.23) * side
        start = share[:, axis + 2] * (side - extent)
        position = torch.arange(side).view(1, side) + 0.5
        line = (position >= start.view(n, 1)) & (position < (start + extent).view(n, 1))
        inside = inside & (line.view(n, side, 1) if axis == 0 else line.view(n, 1, side))
    return torch.where(inside.unsqueeze(1), faces.mean((1, 2, 3), keepdim=True), faces)
