"""face_cnn: three convolutions with batch norm and four linear layers, for classes or for values.

Source: the FaceCNN of FER2013 tutorials, with their names of modules, so that a state dict made with one
of them loads and computes the same. Its regression of arousal, or of valence and arousal, on AffectNet
differs in the number of outputs alone: the data's labels choose the head.
Its RReLU draws its slope in training and has the mean one in use; here it is the mean one throughout.
"""

from __future__ import annotations

from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

CHANNELS = (64, 128, 256)
HIDDEN = (4096, 1024, 256)
SLOPE = (1 / 8 + 1 / 3) / 2  # the mean of RReLU's bounds
INITIAL_DEVIATION = 0.04  # of the kernels, as published


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    nn.init.normal_(convolution.weight, 0.0, INITIAL_DEVIATION)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.LeakyReLU(SLOPE), nn.MaxPool2d(2))


class FaceCnn(nn.Module):
    """Convolutions of 64, 128 and 256 channels, then 4,096, 1,024, 256 and one output a label."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.conv1 = _convolution(spec.channels, CHANNELS[0])
        self.conv2 = _convolution(CHANNELS[0], CHANNELS[1])
        self.conv3 = _convolution(CHANNELS[1], CHANNELS[2])
        self.fc = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(CHANNELS[2] * (spec.height // 8) * (spec.width // 8), HIDDEN[0]),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN[0], HIDDEN[1]),
            nn.LeakyReLU(SLOPE),
            nn.Linear(HIDDEN[1], HIDDEN[2]),
            nn.LeakyReLU(SLOPE),
            nn.Linear(HIDDEN[2], len(spec.labels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to outputs, float32 [n, labels]."""
        return self.fc(self.conv3(self.conv2(self.conv1(x))).flatten(1))


ENTRIES = {
    "face_cnn": Entry(
        build=FaceCnn,
        spec=ModelSpec("face_cnn"),
        source="FER2013 tutorials: FaceCNN",
        parameters=42_582_919,
        multiply_adds=128_468_736,
    )
}
