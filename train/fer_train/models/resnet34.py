"""resnet34: a strided stem and sixteen residual blocks of two 3x3 convolutions.

Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", 2015. The names of
its modules are torchvision's, so that its ImageNet weights fit, all but the head `fc`. The network of
48x48 is the same; its last map has 2x2 positions for 7x7.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

STEM_CHANNELS = 64
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels and blocks
# ImageNet's, as torchvision has them, in gray levels.
MEAN = (123.675, 116.28, 103.53)
SCALE = (58.395, 57.12, 57.375)
SOURCE = "He et al. 2015, Deep Residual Learning for Image Recognition"


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut, which is a strided 1x1 one where the size changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet34(nn.Module):
    """The published network with one output a label."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(spec.channels, STEM_CHANNELS, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = STEM_CHANNELS
        for number, (width, count) in enumerate(STAGES, 1):
            first = BasicBlock(channels, width, 1 if number == 1 else 2)
            others = (BasicBlock(width, width, 1) for _ in range(count - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *others))
            channels = width
        self.fc = nn.Linear(channels, len(spec.labels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))


ENTRIES = {
    "resnet34": Entry(
        build=ResNet34,
        spec=ModelSpec("resnet34", height=224, width=224, channels=3, mean=MEAN, scale=SCALE),
        source=SOURCE,
        parameters=21_288_263,
        multiply_adds=3_663_252_992,
    ),
    "resnet34_48": Entry(
        build=ResNet34,
        spec=ModelSpec("resnet34_48", channels=3, mean=MEAN, scale=SCALE),
        source=SOURCE,
        parameters=21_288_263,
        multiply_adds=191_151_616,
    ),
}
