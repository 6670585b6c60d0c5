"""vgg16: thirteen 3x3 convolutions and four linear layers.

Source: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
2014, configuration D, with one more linear layer from its 1,000 classes to the labels. The names of its
modules are torchvision's, so that its ImageNet weights fit at 224x224, all but the head. At 48x48 the last
pool leaves one position, and the first linear layer has 512 inputs for 25,088.
"""

from __future__ import annotations

from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and convolutions before each pool
HIDDEN = 4096
CLASSES = 1000  # of ImageNet
SOURCE = "Simonyan & Zisserman 2014, Very Deep Convolutional Networks, configuration D"


class Vgg16(nn.Module):
    """Five stages of convolutions, then 4,096, 4,096, 1,000 and one output a label."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = spec.channels
        for width, count in STAGES:
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels * (spec.height // 32) * (spec.width // 32), HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, CLASSES),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(CLASSES, len(spec.labels)))
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        return self.head(self.classifier(self.features(x).flatten(1)))


def _initialize(module: nn.Module) -> None:
    # Without batch norm, the default weights would shrink a signal to nothing on the way down.
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


ENTRIES = {
    "vgg16": Entry(
        build=Vgg16,
        spec=ModelSpec("vgg16", height=224, width=224, channels=3, mean=(127.5,) * 3, scale=(127.5,) * 3),
        source=SOURCE,
        parameters=138_364_551,
        multiply_adds=15_470_271_320,
    ),
    "vgg16_48": Entry(
        build=Vgg16,
        spec=ModelSpec("vgg16_48", mean=(127.5,), scale=(127.5,)),
        source=SOURCE,
        parameters=37_700_103,
        multiply_adds=725_015_384,
    ),
}
