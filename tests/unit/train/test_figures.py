"""Pictures of a run are drawn whatever its labels are called: they come after hours of training."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_train import figures

ODD = ("$x_$", r"$\frac{$", "日本", "a" * 80, "100 %", "<b>&")


@pytest.mark.filterwarnings("ignore:Glyph")  # a font may lack Japanese
@pytest.mark.filterwarnings("ignore:constrained_layout")  # and the long name leaves no room
def test_odd_labels_are_drawn_as_they_are(tmp_path):
    figures.confusion_matrix(np.eye(6, dtype=np.int64), ODD, tmp_path / "confusion.png")
    values = np.random.default_rng(0).random((9, 6))
    figures.predictions(values, values, ODD, tmp_path / "predictions.png")
    for name in ("confusion.png", "predictions.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 0
