"""bitmoji_cnn: two convolutions and three linear layers, for two classes of drawn faces.

Source: PyTorch's CIFAR-10 tutorial network, as Kaggle's "Bitmoji Faces Gender Recognition" entries carry
it over to 224x224 crops, where the second pool leaves 16 x 53 x 53 = 44,944 inputs.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry
from fer_train.models.resnet34 import MEAN, SCALE

LABELS = ("female", "male")
HIDDEN = (1024, 512)


class BitmojiCnn(nn.Module):
    """Convolutions of 6 and 16 channels, 5x5, each with a pool, then 1,024, 512 and one output a label."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(spec.channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        height, width = (((side - 4) // 2 - 4) // 2 for side in (spec.height, spec.width))
        self.fc1 = nn.Linear(16 * height * width, HIDDEN[0])
        self.fc2 = nn.Linear(HIDDEN[0], HIDDEN[1])
        self.fc3 = nn.Linear(HIDDEN[1], len(spec.labels))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(x.flatten(1)))
        return self.fc3(functional.relu(self.fc2(x)))


ENTRIES = {
    "bitmoji_cnn": Entry(
        build=BitmojiCnn,
        spec=ModelSpec("bitmoji_cnn", LABELS, height=224, width=224, channels=3, mean=MEAN, scale=SCALE),
        source="PyTorch's CIFAR-10 tutorial network, carried over to Bitmoji faces",
        parameters=46_552_378,
        multiply_adds=95_294_368,
    )
}
