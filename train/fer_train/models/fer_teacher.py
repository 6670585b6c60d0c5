"""fer_teacher: a small residual network of dense convolutions, made to teach smaller ones.

Pre-shaped for the CPU: dense 3x3 convolutions reach a far higher share of the machine's peak than
depthwise ones, so it learns more a minute than its 20-fold multiply-adds suggest.
"""

from __future__ import annotations

from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry

STEM_CHANNELS = 32
STAGE_CHANNELS = (48, 96, 192)
DROPOUT = 0.2


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class Stage(nn.Module):
    """Widen, halve height and width, then a residual pair of convolutions."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.widen = _convolution(channels_in, channels_out)
        self.pool = nn.MaxPool2d(2)
        self.body = nn.Sequential(
            _convolution(channels_out, channels_out), _convolution(channels_out, channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.widen(self.pool(x))
        return x + self.body(x)


class FerTeacher(nn.Module):
    """A dense residual network; the head averages the last map and drops out before its one layer."""

    def __init__(self, classes: int = 7, channels: int = 1) -> None:
        super().__init__()
        widths = (STEM_CHANNELS, *STAGE_CHANNELS)
        self.stem = _convolution(channels, STEM_CHANNELS)
        self.trunk = nn.Sequential(*(Stage(a, b) for a, b in zip(widths, STAGE_CHANNELS, strict=False)))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(STAGE_CHANNELS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces, float32 [n, channels, height, width], to logits, float32 [n, classes]."""
        return self.head(self.dropout(self.trunk(self.stem(x)).mean((2, 3))))


ENTRIES = {
    "fer_teacher": Entry(
        build=lambda spec: FerTeacher(len(spec.labels), spec.channels),
        spec=ModelSpec("fer_teacher"),
        source="fer-engine's own, a teacher for distillation",
        parameters=1_095_815,
        multiply_adds=92_235_072,
    )
}
