"""The face verifier: a small network that looks again at what the detector has found."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

LABELS = ("other", "face")
SIDE = 40
CONTRAST = 6 / 64  # added to a crop's standard deviation, so that a flat one stays flat
STAGES = ((16, 2), (24, 1), (40, 2), (40, 1), (48, 2), (48, 1))  # channels and stride of each convolution
HIDDEN = 48


class FaceVerifier(nn.Module):
    """Six 3x3 convolutions and two linear layers over a crop of mean 0 and standard deviation 1."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = spec.channels, spec.height
        for width, stride in STAGES:
            layers += [
                nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels, side = width, -(-side // stride)
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(channels * side * side, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(HIDDEN, len(spec.labels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized crops, float32 [n, 1, 40, 40], to logits of "other" and "face", float32 [n, 2]."""
        x = x - x.mean((1, 2, 3), keepdim=True)
        deviation = torch.sqrt((x * x).mean((1, 2, 3), keepdim=True))
        return self.head(self.features(x / (deviation + CONTRAST)))


ENTRIES = {
    "face_verifier": Entry(
        build=FaceVerifier,
        spec=ModelSpec("face_verifier", LABELS, height=SIDE, width=SIDE),
        source="this project",
        parameters=122_834,
        multiply_adds=4_752_096,
    )
}
