"""Which settings find most faces for the least time: the table behind the defaults of `HaarDetector`.

Faces of FER2013 are set into photographs without faces, which scikit-image brings. A setting is told by the
share of the faces that it finds, by what else it takes for a face, and by its processor time. The best one
is then compared with `HaarDetector`, which has another cascade look again at doubtful faces.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import skimage

from fer_engine.cli import exit_codes
from fer_engine.vision import HaarDetector, read_image
from fer_train.data import load_dataset

WIDTH, HEIGHT = 640, 480
FACE_SIDES = (48, 230)
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "page.png", "coins.png")
GROUP_EPS = 0.2  # of OpenCV's detectMultiScale
FOUND = 0.4  # least intersection over union of a box and the face's frame
NEIGHBORS = (1, 2, 3, 5)
MORE = 10  # times the images, for `HaarDetector`: its false faces are few


class Setting(NamedTuple):
    """What is varied beside `min_neighbors`; the smallest face is 48 pixels of the image in all of them."""

    cascade: str
    longest_side: int
    scale_factor: float
    equalize: bool


SETTINGS = [
    Setting("default", 640, 1.1, True),
    *itertools.starmap(
        Setting, itertools.product(("default", "alt", "alt2"), (640, 320), (1.1, 1.2, 1.3), (False,))
    ),
    Setting("alt", 320, 1.2, True),
]
CHOSEN = Setting("alt", 320, 1.2, False)

Scene = tuple[np.ndarray, list[tuple[int, int, int]]]


def scenes(faces: np.ndarray, count: int) -> Iterator[Scene]:
    """Give images, uint8 [480, 640, 3], and left, top and side of the two faces in each."""
    random = np.random.default_rng(0)
    folder = Path(skimage.__file__).parent / "data"
    photographs = [cv2.resize(read_image(folder / name), (WIDTH, HEIGHT)) for name in PHOTOGRAPHS]
    rows, columns = np.mgrid[-1:1:48j, -1:1:48j]
    oval = np.clip((1.15 - np.hypot(rows, columns)) / 0.15, 0, 1).astype(np.float32)
    for index in range(count):
        image, places = photographs[index % len(photographs)].copy(), []
        for half in (0, WIDTH // 2):
            side = int(np.exp(random.uniform(*np.log(FACE_SIDES))))
            left, top = half + random.integers(WIDTH // 2 - side), random.integers(HEIGHT - side)
            face = cv2.resize(faces[random.integers(len(faces))], (side, side), interpolation=cv2.INTER_CUBIC)
            share = cv2.resize(oval, (side, side))[..., np.newaxis]
            part = image[top : top + side, left : left + side]
            part[:] = np.rint(part * (1 - share) + face[..., np.newaxis] * share)
            places.append((int(left), int(top), side))
        yield image, places


def search(setting: Setting, cascade: Any, image: np.ndarray) -> np.ndarray:
    """Return what the cascade finds before overlapping finds are grouped, int [n, 4]."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    size = (setting.longest_side, setting.longest_side * HEIGHT // WIDTH)
    gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    smallest = FACE_SIDES[0] * setting.longest_side // WIDTH
    gray = cv2.equalizeHist(gray) if setting.equalize else gray
    found = cascade.detectMultiScale(gray, setting.scale_factor, 0, minSize=(smallest, smallest))
    return np.asarray(found, int).reshape(-1, 4)


def overlap(box: np.ndarray, place: tuple[int, int, int]) -> float:
    """Return the intersection over union of a box and a face's square frame."""
    left, top, side = place
    across = min(box[0] + box[2], left + side) - max(box[0], left)
    down = min(box[1] + box[3], top + side) - max(box[1], top)
    shared = max(across, 0) * max(down, 0)
    return shared / (box[2] * box[3] + side * side - shared)


def measure(setting: Setting, made: list[Scene], all_neighbors: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Give a row for each `min_neighbors`: the share of faces found, false faces, milliseconds an image."""
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_{setting.cascade}.xml")
    began = time.process_time()
    found = [search(setting, cascade, image) for image, _ in made]
    cpu_ms = (time.process_time() - began) / len(made) * 1000
    for neighbors in all_neighbors:
        grouped = [cv2.groupRectangles(boxes.tolist(), neighbors, GROUP_EPS)[0] for boxes in found]
        boxes = [np.asarray(box, float).reshape(-1, 4) * WIDTH / setting.longest_side for box in grouped]
        yield {**setting._asdict(), "min_neighbors": neighbors, **judge(boxes, made, cpu_ms)}


def judge(found: Sequence[np.ndarray], made: list[Scene], cpu_ms: float) -> dict[str, Any]:
    """Return what the boxes found in each image, [n, 4], are worth."""
    hits = false = 0
    for boxes, (_, places) in zip(found, made, strict=True):
        right = [[overlap(box, place) > FOUND for place in places] for box in boxes]
        hits += int(np.any(right, 0).sum()) if right else 0
        false += sum(not any(row) for row in right)
    return {
        "found": round(hits / (2 * len(made)), 3),
        "false_faces": false,
        "cpu_ms": round(cpu_ms, 1),
    }


def look_again(made: list[Scene]) -> Iterator[dict[str, Any]]:
    """Give a row for the chosen setting as it is, and for `HaarDetector`, at two `min_neighbors`."""
    for row in measure(CHOSEN, made, (2, 3)):
        neighbors = row["min_neighbors"]
        plain = {name: row[name] for name in ("found", "false_faces", "cpu_ms")}
        yield {"min_neighbors": neighbors, "second_look": False, **plain}
        detector = HaarDetector(min_neighbors=neighbors)
        began = time.process_time()
        found = [detector(image) for image, _ in made]
        cpu_ms = (time.process_time() - began) / len(made) * 1000
        yield {"min_neighbors": neighbors, "second_look": True, **judge(found, made, cpu_ms)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="FER2013, as fer-train takes it")
    parser.add_argument("--count", type=int, default=90, help="images of two faces (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("docs/results/face_detector.json"))
    return exit_codes.run_command(lambda: _run(parser.parse_args()))


def _run(options: argparse.Namespace) -> int:
    cv2.setNumThreads(1)
    faces, _ = load_dataset(options.data).split("Training")
    more = list(scenes(faces, options.count * MORE))
    made = more[: options.count]
    rows = [row for setting in SETTINGS for row in measure(setting, made, NEIGHBORS)]
    again = list(look_again(more))
    for row in [*rows, *again]:
        print(*row.values(), sep="\t")
    result = {
        "pictures": options.count,
        "faces": 2 * options.count,
        "opencv": cv2.__version__,
        "settings": rows,
        "second_look": {"pictures": len(more), "faces": 2 * len(more), "rows": again},
    }
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
