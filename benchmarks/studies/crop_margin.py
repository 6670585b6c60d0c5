"""Which margin makes detected crops look like FER2013's faces: the table behind `fer_engine.vision.MARGIN`.

Each face is enlarged, set into a larger canvas, found by the default detector, cropped at every margin, and
held against what it was: its pixels, and the expression that the network reads. The faces are of Training,
for PublicTest measures the accuracy; so the accuracies here are those of faces that the network has learned.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_engine import Engine
from fer_engine.cli import exit_codes
from fer_engine.vision import HaarDetector, crop_faces
from fer_train.data import load_dataset

SIDE = 48
ENLARGED = 3 * SIDE
CANVAS = 3 * ENLARGED
MARGINS = (-0.1, -0.05, 0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3)


def canvas(face: np.ndarray) -> np.ndarray:
    """Set a face, uint8 [48, 48], into the middle of a canvas that its edges fill, uint8 [432, 432, 3]."""
    enlarged = cv2.resize(face, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
    around = (CANVAS - ENLARGED) // 2
    filled = cv2.copyMakeBorder(enlarged, *[around] * 4, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(filled, cv2.COLOR_GRAY2BGR)


def measure(faces: np.ndarray, labels: np.ndarray, engine: Engine) -> dict[str, Any]:
    """Return where the boxes lie in the faces, as shares of their side, and what each margin gives."""
    detector = HaarDetector()
    images = [canvas(face) for face in faces]
    boxes = [detector(image) for image in images]
    found = [index for index, box in enumerate(boxes) if len(box) == 1]
    left, top, side, _ = np.concatenate([boxes[index] for index in found]).astype(float).T
    origin = (CANVAS - ENLARGED) / 2
    faces, labels = faces[found], labels[found]
    expected = engine.logits(faces).argmax(1)
    rows = []
    for margin in MARGINS:
        crops = np.concatenate(
            [crop_faces(images[index], boxes[index], engine.spec, margin) for index in found]
        )
        read = engine.logits(crops).argmax(1)
        rows.append(
            {
                "margin": margin,
                "accuracy": round(float((read == labels).mean()), 4),
                "agreement": round(float((read == expected).mean()), 4),
                "mean_pixel_difference": round(float(np.abs(crops - faces.astype(float)).mean()), 2),
            }
        )
    return {
        "faces": len(boxes),
        "found_once": len(found),
        "box_side_quartiles": np.round(np.percentile(side / ENLARGED, (25, 50, 75)), 3).tolist(),
        "box_centre_median": [
            round(float(np.median((start + side / 2 - origin) / ENLARGED)), 3) for start in (left, top)
        ],
        "accuracy_uncropped": round(float((expected == labels).mean()), 4),
        "margins": rows,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="FER2013, as fer-train takes it")
    parser.add_argument("artifact", type=Path, help="of a network that tells FER2013's expressions")
    parser.add_argument("--count", type=int, default=4000, help="faces of Training (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("docs/results/crop_margin.json"))
    return exit_codes.run_command(lambda: _run(parser.parse_args()))


def _run(options: argparse.Namespace) -> int:
    faces, labels = load_dataset(options.data).split("Training")
    chosen = np.random.default_rng(0).permutation(len(faces))[: options.count]
    with Engine.load(options.artifact) as engine:
        result = {"model": engine.spec.name, "checkpoint_sha256": engine.spec.checkpoint_sha256}
        result |= measure(faces[chosen], labels[chosen], engine)
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
