"""The face detector: one small convolutional network that finds faces of all sizes at three strides."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

STRIDES = (8, 16, 32)
ANCHORS = (20.0, 48.0, 130.0)  # pixels; the size of face that each stride starts from
SIDE = 288
STEP = 0.25  # of the anchor: the unit of a box's centre
LARGEST_LOG = 4.0  # of a box's side over its anchor's, so that no box is infinite
RARE = -4.0  # first logit of a score: hardly any position is a face
WIDTHS = (16, 24, 48, 48, 64)


class FaceDetector(nn.Module):
    """Five stages of convolutions, the last three added up top-down, and one 1x1 head a stride.

    Source of the top-down additions: T.-Y. Lin et al., "Feature Pyramid Networks for Object Detection", 2017.
    """

    def __init__(self, spec: ModelSpec, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        first, second, third, fourth, fifth = widths
        self.stem = nn.Sequential(
            _convolve(spec.channels, first, 2), _convolve(first, second, 2), _convolve(second, second)
        )
        self.stage8 = nn.Sequential(_convolve(second, third, 2), Residual(third))
        self.stage16 = nn.Sequential(_convolve(third, fourth, 2), Residual(fourth))
        self.stage32 = nn.Sequential(_convolve(fourth, fifth, 2), Residual(fifth))
        self.down16 = _normalized(nn.Conv2d(fifth, fourth, 1, bias=False))
        self.down8 = _normalized(nn.Conv2d(fourth, third, 1, bias=False))
        self.merge16, self.merge8 = _convolve(fourth, fourth), _convolve(third, third)
        self.heads = nn.ModuleList(_head(width) for width in (third, fourth, fifth))
        self.grid: Tensor
        self.register_buffer("grid", grid(spec.height, spec.width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized pictures, float32 [n, 1, h, w], to boxes, float32 [n, 5 * anchors].

        Each anchor has the logit of its score, and left, top, width and height in pixels of the picture.
        """
        raw = self.raw(x)
        centres, sizes = decode(raw, self.grid)
        return torch.cat([raw[..., :1], centres - sizes / 2, sizes], 2).flatten(1)

    def raw(self, x: Tensor) -> Tensor:
        """Map pictures whose sides are multiples of 32 to what the heads give, [n, anchors, 5]."""
        at8 = self.stage8(self.stem(x))
        at16 = self.stage16(at8)
        at32 = self.stage32(at16)
        merged16 = self.merge16(functional.relu(at16 + _enlarge(self.down16(at32))))
        merged8 = self.merge8(functional.relu(at8 + _enlarge(self.down8(merged16))))
        given = [head(level) for head, level in zip(self.heads, (merged8, merged16, at32), strict=True)]
        return torch.cat([level.flatten(2).transpose(1, 2) for level in given], 1)


class Residual(nn.Module):
    """Two 3x3 convolutions with a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolve(width, width)
        self.second = _normalized(nn.Conv2d(width, width, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


def grid(height: int, width: int) -> Tensor:
    """Return centre x and y, stride and size of each anchor in pixels, float32 [anchors, 4]."""
    levels = []
    for stride, size in zip(STRIDES, ANCHORS, strict=True):
        rows, columns = height // stride, width // stride
        y = (torch.arange(rows, dtype=torch.float32)[:, None].expand(rows, columns) + 0.5) * stride
        x = (torch.arange(columns, dtype=torch.float32).expand(rows, columns) + 0.5) * stride
        levels.append(
            torch.stack([x, y, torch.full_like(x, stride), torch.full_like(x, size)], 2).flatten(0, 1)
        )
    return torch.cat(levels)


def decode(raw: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return centres and sizes of boxes, float32 [..., anchors, 2] each, from what the heads give."""
    size = anchors[:, 3:4]
    centres = anchors[:, :2] + raw[..., 1:3] * (size * STEP)
    return centres, size * torch.exp(raw[..., 3:5].clamp(-LARGEST_LOG, LARGEST_LOG))


def _head(width: int) -> nn.Conv2d:
    head = nn.Conv2d(width, 5, 1)
    nn.init.normal_(head.weight, 0, 0.01)
    bias = torch.zeros(5)
    bias[0] = RARE
    head.bias = nn.Parameter(bias)
    return head


def _convolve(given: int, width: int, stride: int = 1) -> nn.Sequential:
    layer = _normalized(nn.Conv2d(given, width, 3, stride, padding=1, bias=False))
    return layer.append(nn.ReLU(inplace=True))


def _normalized(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))


def _enlarge(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


ENTRIES = {
    "face_detector": Entry(
        build=FaceDetector,
        spec=ModelSpec("face_detector", ("face",), "detection", height=SIDE, width=SIDE, output="boxes"),
        source="this project; top-down additions of Lin et al. 2017, Feature Pyramid Networks",
        parameters=273_343,
        multiply_adds=178_329_600,
    )
}
