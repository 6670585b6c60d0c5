"""Another network's answers as logits of the project's labels, matched by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError

OUR_NAMES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
LEAST = 1e-7  # of a probability, so that its logarithm is finite


def columns(labels: Sequence[str]) -> list[int]:
    """Return where each label of `EXPRESSIONS` stands among another network's labels.

    Labels that `EXPRESSIONS` lacks, such as contempt, are left out: the next best answer is taken.

    Raises:
        ConfigError: a label of `EXPRESSIONS` is missing.
    """
    names = [OUR_NAMES.get(label.lower(), label.lower()) for label in labels]
    missing = [name for name in EXPRESSIONS if name not in names]
    if missing:
        raise ConfigError(
            f"the network has no label {', '.join(missing)}: its labels are {', '.join(labels)}; "
            f"expected all of {', '.join(EXPRESSIONS)}: add what the network calls it to OUR_NAMES"
        )
    return [names.index(name) for name in EXPRESSIONS]


def to_logits(probabilities: NDArray[np.floating], labels: Sequence[str]) -> NDArray[np.float32]:
    """Return logits float32 [n, 7] in the order of `EXPRESSIONS`, of which softmax gives the probabilities.

    Args:
        probabilities: Float [n, len(labels)] of at least 0. Those of a network that ends in sigmoids need
            not sum to 1; softmax then gives their shares.
        labels: The network's labels, in its order.
    """
    return np.log(np.maximum(probabilities[:, columns(labels)], LEAST)).astype(np.float32)
