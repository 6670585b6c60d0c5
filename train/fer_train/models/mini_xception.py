"""mini_xception: four residual depthwise-separable modules and no dense layer.

Source: O. Arriaga, M. Valdenegro-Toro, P. Ploeger, "Real-time Convolutional Neural Networks for
Emotion and Gender Classification", 2017, in the form that public PyTorch ports give it: every
convolution has a bias.
"""

from __future__ import annotations

from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

STEM_CHANNELS = 8
MODULE_CHANNELS = (16, 32, 64, 128)


class SeparableConv2d(nn.Sequential):
    """A 3x3 depthwise convolution, then a 1x1 (pointwise) convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in),
            nn.Conv2d(channels_in, channels_out, 1),
        )


class ResidualModule(nn.Module):
    """Two separable convolutions and a pool beside a strided 1x1 shortcut; halves height and width."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride=2),
            nn.BatchNorm2d(channels_out),
        )
        self.body = nn.Sequential(
            SeparableConv2d(channels_in, channels_out),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            SeparableConv2d(channels_out, channels_out),
            nn.BatchNorm2d(channels_out),
            nn.MaxPool2d(3, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class MiniXception(nn.Module):
    """Two convolutions, four residual modules, and a convolution whose maps are averaged to logits."""

    def __init__(self, classes: int = 7, channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, STEM_CHANNELS, 3),
            nn.BatchNorm2d(STEM_CHANNELS),
            nn.ReLU(),
            nn.Conv2d(STEM_CHANNELS, STEM_CHANNELS, 3),
            nn.BatchNorm2d(STEM_CHANNELS),
            nn.ReLU(),
        )
        widths = (STEM_CHANNELS, *MODULE_CHANNELS)
        self.trunk = nn.Sequential(
            *(ResidualModule(a, b) for a, b in zip(widths, MODULE_CHANNELS, strict=False))
        )
        self.head = nn.Conv2d(MODULE_CHANNELS[-1], classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        return self.head(self.trunk(self.stem(x))).mean((2, 3))


ENTRIES = {
    "mini_xception": Entry(
        build=lambda spec: MiniXception(len(spec.labels), spec.channels),
        spec=ModelSpec("mini_xception"),
        source="Arriaga et al. 2017, Real-time CNNs for Emotion and Gender Classification",
        parameters=58_047,
        multiply_adds=5_520_448,
    )
}
