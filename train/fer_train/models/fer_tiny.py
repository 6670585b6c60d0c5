"""fer_tiny: under half a million parameters, shaped for the matrix units of today's processors.

Dense 3x3 convolutions of channel counts in multiples of 16, ReLU and early downsampling: what INT8
and 16-bit matrix instructions run at a high share of their peak, where depthwise layers wait for
memory. Most of its multiply-adds lie at 12x12. fer_base is the same of twice the width, to teach it.
fer_nano has most of its weights at 6x6 and 3x3, where they cost little time: mini_xception does a few more
multiply-adds and takes twice as long.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

Stages = tuple[tuple[int, int], ...]
DROPOUT = 0.2


def _convolution(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class Widen(nn.Module):
    """A strided convolution that widens and halves height and width."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = _convolution(channels_in, channels_out, kernel, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x))


class Residual(nn.Module):
    """Two convolutions beside the identity (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class FerTiny(nn.Module):
    """A plain residual network; averages the last map and drops out before its one dense layer.

    `stem` is the first layer's channels; `stages` are (channels, residual blocks), each halving the map.
    """

    def __init__(
        self, classes: int = 7, channels: int = 1, stem: int = 32, stages: Stages = ((64, 2), (112, 1))
    ) -> None:
        super().__init__()
        self.stem = Widen(channels, stem, kernel=5)
        layers: list[nn.Module] = []
        before = stem
        for width, blocks in stages:
            layers += [Widen(before, width), *(Residual(width) for _ in range(blocks))]
            before = width
        self.trunk = nn.Sequential(*layers)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        return self.head(self.dropout(self.trunk(self.stem(x)).mean((2, 3))))


ENTRIES = {
    "fer_tiny": Entry(
        build=lambda spec: FerTiny(len(spec.labels), spec.channels),
        spec=ModelSpec("fer_tiny"),
        source="fer-engine's own",
        parameters=459_159,
        multiply_adds=34_800_400,
    ),
    "fer_nano": Entry(
        build=lambda spec: FerTiny(len(spec.labels), spec.channels, 16, ((16, 1), (48, 1), (96, 1))),
        spec=ModelSpec("fer_nano"),
        source="fer-engine's own, for the highest throughput",
        parameters=264_727,
        multiply_adds=4_834_464,
    ),
    "fer_base": Entry(
        build=lambda spec: FerTiny(len(spec.labels), spec.channels, 64, ((128, 2), (256, 2))),
        spec=ModelSpec("fer_base"),
        source="fer-engine's own, fer_tiny of twice the width, a teacher for distillation",
        parameters=3_325_127,
        multiply_adds=192_026_368,
    ),
}
