"""simple_cnn: two convolutions and one linear layer.

Source: PyTorch's introductory MNIST network, as tutorials carry it over to FER2013. They print a linear
layer of 500 inputs, which fits 40x40; at 48x48 the second pool leaves 20 x 9 x 9 = 1,620. They end in a
log-softmax. Here, as everywhere, the output is logits, and the loss does the log-softmax: training, the
likeliest label and the softmax of the output are the same with and without it.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry


class SimpleCnn(nn.Module):
    """Convolutions of 10 and 20 channels, 5x5, each with a pool, then one linear layer."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(spec.channels, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        height, width = (((side - 4) // 2 - 4) // 2 for side in (spec.height, spec.width))
        self.fc = nn.Linear(20 * height * width, len(spec.labels))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        x = functional.relu(functional.max_pool2d(self.conv1(x), 2))
        x = functional.relu(functional.max_pool2d(self.conv2(x), 2))
        return self.fc(x.flatten(1))


ENTRIES = {
    "simple_cnn": Entry(
        build=SimpleCnn,
        spec=ModelSpec("simple_cnn"),
        source="PyTorch's MNIST tutorial network, carried over to FER2013",
        parameters=16_627,
        multiply_adds=2_115_340,
    )
}
