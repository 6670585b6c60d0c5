"""cnn3: three convolutions, each with a pool, and two linear layers.

Source: the usual first network of FER2013 tutorials; at 48x48 the last pool leaves 128 x 6 x 6 = 4,608.
"""

from __future__ import annotations

from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

CHANNELS = (32, 64, 128)
HIDDEN = 512
DROPOUT = 0.5


class Cnn3(nn.Module):
    """3x3 convolutions of 32, 64 and 128 channels, then one hidden layer of 512."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for channels_in, channels_out in zip((spec.channels, *CHANNELS), CHANNELS, strict=False):
            blocks += [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*blocks)
        inputs = CHANNELS[-1] * (spec.height // 8) * (spec.width // 8)
        self.classifier = nn.Sequential(
            nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, len(spec.labels))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        return self.classifier(self.features(x).flatten(1))


ENTRIES = {
    "cnn3": Entry(
        build=Cnn3,
        spec=ModelSpec("cnn3"),
        source="FER2013 tutorials: three convolutions and one hidden layer",
        parameters=2_456_071,
        multiply_adds=24_260_096,
    )
}
