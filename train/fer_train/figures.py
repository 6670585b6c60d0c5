"""Pictures of a training run: learning curves and the confusion matrix."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fer_engine import atomic
from fer_train.loop import Epoch


def learning_curves(epochs: list[Epoch], path: Path) -> None:
    """Write loss and accuracy over the epochs as a PNG."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    numbers = [epoch.epoch for epoch in epochs]
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split in ("train", "validation"):
            axes.plot(numbers, [getattr(epoch, f"{split}_{quantity}") for epoch in epochs], label=split)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def confusion_counts(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Count the faces of each true class (row) that were given each class (column)."""
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def confusion_matrix(counts: NDArray[np.int64], labels: tuple[str, ...], path: Path) -> None:
    """Write a confusion matrix (rows: truth, columns: predicted) as a PNG, in shares of each row."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    for (row, column), value in np.ndenumerate(share):
        axes.text(
            column, row, f"{value:.0%}", ha="center", va="center", color="white" if value > 0.5 else "black"
        )
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    atomic.write_bytes(path, content.getvalue())
