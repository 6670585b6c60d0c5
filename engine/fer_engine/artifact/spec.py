"""What a model takes and gives: the contract that travels with every checkpoint and graph."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from fer_engine.artifact import schema
from fer_engine.artifact.schema import SchemaError
from fer_engine.errors import ArtifactError

FORMAT_VERSION = 1
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
AFFECT = ("valence", "arousal")  # from -1 to 1 each; Russell, "A Circumplex Model of Affect", 1980
TASKS = ("classification", "regression", "detection")
LARGEST_SIDE = 8192  # pixels; of a damaged spec it could be anything
INPUT_NAME = "faces"
NO_TEMPERATURE = 1.0  # leaves the logits as they are
# A detection has one anchor in each cell of three grids, whose cells are this many pixels of the input wide.
STRIDES = (8, 16, 32)
ANCHOR_VALUES = 5  # score, left, top, width, height


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The interface of one trained network.

    The graph takes raw faces, uint8 [batch, height, width] when `channels` is 1, else
    [batch, height, width, channels]; it normalizes them itself as `(pixel - mean) / scale`,
    one value a channel, and gives `output`, float32 [batch, outputs]: one value for each label. The logits of
    a classification are those of the network divided by `temperature`, so that their softmax is calibrated
    (Guo et al., "On Calibration of Modern Neural Networks", 2017).

    A detection gives ANCHOR_VALUES values for each anchor instead: the score as a logit, then left, top,
    width and height of the box in pixels of the input. The anchors are the cells of the grids of STRIDES, in
    this order, each grid row by row. It has one label, what its boxes hold.
    """

    COMPLETE: ClassVar[bool] = True  # nothing of a model is guessed
    LATER: ClassVar[frozenset[str]] = frozenset({"temperature"})

    name: str
    labels: tuple[str, ...] = EXPRESSIONS
    task: str = "classification"
    height: int = 48
    width: int = 48
    channels: int = 1
    # (pixel - 128) / 64 is exact in symmetric int8 with a step of 1/64: the input quantizes without loss.
    mean: tuple[float, ...] = (128.0,)
    scale: tuple[float, ...] = (64.0,)
    output: str = "logits"
    opset: int = 18
    checkpoint_sha256: str = ""
    format_version: int = FORMAT_VERSION
    temperature: float = NO_TEMPERATURE

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ArtifactError(
                f"spec has format version {self.format_version!r}, this release reads {FORMAT_VERSION}: "
                "export the model again with this release, or install the one that wrote it"
            )
        if self.task not in TASKS:
            raise ArtifactError(f"spec has task {self.task!r}, expected one of {', '.join(TASKS)}")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ArtifactError(f"spec needs distinct labels, got {list(self.labels)}")
        if not all(label.strip() and label.isprintable() for label in self.labels):
            raise ArtifactError(f"spec needs labels of printable characters, got {list(self.labels)}")
        sides = (self.height, self.width)
        if min(sides) < 1 or max(sides) > LARGEST_SIDE or self.channels not in (1, 3):
            raise ArtifactError(
                f"spec has input {self.height}x{self.width} with {self.channels} channels, "
                f"expected sides of 1 to {LARGEST_SIDE} and 1 (gray) or 3 (RGB) channels"
            )
        sized = len(self.mean) == len(self.scale) == self.channels
        if not sized or 0 in self.scale or not all(map(math.isfinite, (*self.mean, *self.scale))):
            raise ArtifactError(
                f"spec needs one finite mean and one finite non-zero scale a channel ({self.channels}), "
                f"got mean {list(self.mean)}, scale {list(self.scale)}"
            )
        if not 0 < self.temperature < math.inf:
            raise ArtifactError(f"spec needs a finite temperature above 0, got {self.temperature}")
        if self.task != "classification" and self.temperature != NO_TEMPERATURE:
            raise ArtifactError(
                f"spec has temperature {self.temperature} and task {self.task!r}: only the logits of a "
                "classification have one; leave it out"
            )
        if self.task == "detection":
            self._check_detection()

    def _check_detection(self) -> None:
        if len(self.labels) != 1:
            raise ArtifactError(
                f"spec of a detection needs one label, what its boxes hold, got {list(self.labels)}"
            )
        if self.height % STRIDES[-1] or self.width % STRIDES[-1]:
            raise ArtifactError(
                f"spec of a detection has input {self.height}x{self.width}, "
                f"expected sides that are multiples of {STRIDES[-1]}"
            )

    @property
    def face_shape(self) -> tuple[int, ...]:
        """Shape of one face: (height, width), or (height, width, channels) for colour."""
        size = (self.height, self.width)
        return size if self.channels == 1 else (*size, self.channels)

    @property
    def anchors(self) -> int:
        """Number of boxes that a detection gives for each input; 0 for other tasks."""
        if self.task != "detection":
            return 0
        return sum((self.height // stride) * (self.width // stride) for stride in STRIDES)

    @property
    def outputs(self) -> int:
        """Number of values that the graph gives for each input."""
        return ANCHOR_VALUES * self.anchors if self.task == "detection" else len(self.labels)

    def to_json(self) -> dict[str, Any]:
        return schema.to_json(self)

    @classmethod
    def from_json(cls, data: object) -> ModelSpec:
        """Build a spec from parsed JSON.

        Raises:
            ArtifactError: a field is missing, unknown or of the wrong type.
        """
        try:
            return schema.from_json(cls, data)
        except SchemaError as error:
            field = f"field {error.path!r} " if error.path else ""
            raise ArtifactError(f"spec {field}must be {error.expected}, got {error.got}") from None

    @classmethod
    def loads(cls, text: str) -> ModelSpec:
        """Build a spec from JSON text; see `from_json`."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"spec is not JSON: {error}") from None
        return cls.from_json(data)
