"""Pictures of a training run: learning curves and the confusion matrix."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fer_engine.artifact import files
from fer_train.loop import Epoch

PLAIN: dict[str, Any] = {"parse_math": False}  # labels are names: dollars in them begin no formula


def learning_curves(epochs: list[Epoch], path: Path) -> None:
    """Write the losses and the other measures over the epochs as a PNG."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    numbers = [epoch.epoch for epoch in epochs]
    losses = {name: [getattr(epoch, name) for epoch in epochs] for name in ("train_loss", "validation_loss")}
    measures = {name: [epoch.measures[name] for epoch in epochs] for name in epochs[0].measures}
    for axes, curves in zip(figure.subplots(1, 2), (losses, measures), strict=True):
        for name, values in curves.items():
            axes.plot(numbers, values, label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def predictions(truth: NDArray[Any], predicted: NDArray[Any], names: tuple[str, ...], path: Path) -> None:
    """Write the predicted values over the true ones, both [n, k], as a PNG with one plot a name."""
    figure = Figure(figsize=(4.5 * len(names), 4), layout="constrained")
    plots = figure.subplots(1, len(names), squeeze=False)[0]
    for index, (axes, name) in enumerate(zip(plots, names, strict=True)):
        axes.plot(truth[:, index], predicted[:, index], ".", markersize=2, alpha=0.5)
        axes.axline((0, 0), slope=1, color="gray", linewidth=0.8)
        axes.set_xlabel(f"{name}, truth", **PLAIN)
        axes.set_ylabel(f"{name}, predicted", **PLAIN)
        axes.grid(alpha=0.3)
    _save(figure, path)


def confusion_matrix(counts: NDArray[np.int64], labels: tuple[str, ...], path: Path) -> None:
    """Write a confusion matrix (rows: truth, columns: predicted) as a PNG, in shares of each row."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", **PLAIN)
    axes.set_yticks(range(len(labels)), labels, **PLAIN)
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
    files.write_bytes(path, content.getvalue())
