"""How many faces each detector finds, what else it takes for faces, and how long it takes.

Three groups: photographs from Debian's packages, whose boxes were counted by hand and lie in
finder_photographs.json; photographs without faces, from the same list; and composites, in which faces of
FER2013's PublicTest are drawn onto the latter, since there are few free photographs of people.

    apt-get download visp-images-data opencv-doc python3-skimage python-matplotlib-data r-cran-openxlsx \
        libplack-perl
    for deb in *.deb; do dpkg-deb -x $deb photographs; done
    python benchmarks/studies/face_finder.py fer2013.csv photographs --yunet face_detection_yunet_2026may.onnx
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.schema import from_json
from fer_engine.cli import exit_codes
from fer_engine.errors import DataError
from fer_engine.vision import FaceFinder, HaarDetector, YuNetDetector, read_image
from fer_engine.vision.boxes import as_detections
from fer_train.data import load_dataset
from fer_train.finder.composites import FACE, IGNORED, Composer

LIST = Path(__file__).with_name("finder_photographs.json")
FOUND = 0.3  # least intersection over union of a box and a face: detectors frame faces differently
GROUP = 3  # faces of a photograph that count as a group
SIDE, FACES = 480, (20.0, 300.0)  # of a composite, and of the faces in it, in pixels
TIMED = (480, 640)  # height and width of the picture whose time is told
REPEATS = 20
Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Listed:
    """A photograph of the list: Debian's package, the file, and its faces' left, top, width, height."""

    package: str
    file: str
    boxes: list[list[int]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, uint8 [h, w, 3] in BGR, and its faces, [n, 4]; finds of `doubtful` ones do not count."""

    group: str
    image: NDArray[np.uint8]
    boxes: Boxes
    doubtful: Boxes


@dataclass(frozen=True, slots=True)
class Count:
    """What a detector did in a group of pictures."""

    detector: str
    group: str
    pictures: int
    faces: int
    found: int
    false_faces: int


def photographs(folder: Path) -> Iterator[Picture]:
    """Give the photographs of the list that lie somewhere in a folder.

    Raises:
        DataError: one is missing.
    """
    for entry in _listed():
        path = next(folder.rglob(entry.file), None)
        if path is None:
            raise DataError(f"{folder} has no {entry.file} of the package {entry.package}; unpack it there")
        group = "no face" if not entry.boxes else "groups" if len(entry.boxes) >= GROUP else "one or two"
        boxes = np.array(entry.boxes, float).reshape(-1, 4)
        yield Picture(group, read_image(path), boxes, np.empty((0, 4)))


def composites(
    faces: NDArray[np.uint8], backgrounds: list[NDArray[np.uint8]], count: int
) -> Iterator[Picture]:
    """Give composites of 480x480."""
    made = Composer(faces, backgrounds, np.random.default_rng(0)).compose(count, SIDE, *FACES)
    for image, rows in zip(made.images, made.boxes.astype(float), strict=True):
        boxes = np.hstack([rows[:, :2], rows[:, 2:4] - rows[:, :2]])
        kinds = rows[:, 4]
        colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        yield Picture("composites", colour, boxes[kinds == FACE], boxes[kinds == IGNORED])


def count(name: str, detector: Callable[[Any], Any], pictures: list[Picture]) -> Iterator[Count]:
    """Give the counts of a detector in each group."""
    sums: dict[str, list[int]] = {}
    for picture in pictures:
        boxes = as_detections(detector(picture.image), picture.image).boxes.astype(float)
        right = _overlaps(boxes, picture.boxes) > FOUND
        excused = (_overlaps(boxes, picture.doubtful) > FOUND).any(1)
        own = sums.setdefault(picture.group, [0, 0, 0, 0])
        for index, value in enumerate(
            (1, len(picture.boxes), int(right.any(0).sum()), int((~right.any(1) & ~excused).sum()))
        ):
            own[index] += value
    for group, values in sums.items():
        yield Count(name, group, *values)


def milliseconds(detectors: dict[str, Callable[[Any], Any]], image: NDArray[np.uint8]) -> dict[str, float]:
    """Return the median time of a call of each detector, measured in turns."""
    taken: dict[str, list[float]] = {name: [] for name in detectors}
    for _ in range(REPEATS):
        for name, detector in detectors.items():
            began = time.perf_counter()
            detector(image)
            taken[name].append((time.perf_counter() - began) * 1000)
    return {name: round(statistics.median(values), 1) for name, values in taken.items()}


def _listed() -> list[Listed]:
    return [from_json(Listed, row) for row in json.loads(LIST.read_text("utf-8"))]


def _overlaps(boxes: Boxes, others: Boxes) -> Boxes:
    """Return the intersection over union of each box with each other, [n, m]."""
    near = np.maximum(boxes[:, None, :2], others[None, :, :2])
    far = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.prod((far - near).clip(0), axis=2)
    areas = np.prod(boxes[:, 2:], axis=1)[:, None] + np.prod(others[:, 2:], axis=1)[None]
    overlaps: Boxes = shared / (areas - shared)
    return overlaps


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="FER2013, as fer-train takes it")
    parser.add_argument("photographs", type=Path, help="folder with the unpacked packages")
    parser.add_argument("--yunet", help="YuNet's file (default: the one that is fetched)")
    parser.add_argument("--count", type=int, default=200, help="composites (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("docs/results/face_finder.json"))
    return exit_codes.run_command(lambda: _run(parser.parse_args()))


def _run(options: argparse.Namespace) -> int:
    cv2.setNumThreads(1)
    pictures = list(photographs(options.photographs))
    empty = [cv2.cvtColor(one.image, cv2.COLOR_BGR2GRAY) for one in pictures if not len(one.boxes)]
    faces, _ = load_dataset(options.data).split("PublicTest")
    pictures += composites(faces, empty, options.count)
    detectors: dict[str, Callable[[Any], Any]] = {
        "finder": FaceFinder(),
        "finder, OpenVINO INT8": FaceFinder(backend="openvino", precision="int8"),
        "haar": HaarDetector(),
        "yunet": YuNetDetector(options.yunet),
    }
    counts = [one for name, detector in detectors.items() for one in count(name, detector, pictures)]
    photograph = next(one.image for one in pictures if one.group == "one or two")
    times = milliseconds(detectors, cv2.resize(photograph, TIMED[::-1]))
    result = {
        "timed": f"{TIMED[1]}x{TIMED[0]}",
        "milliseconds": times,
        "counts": [asdict(one) for one in counts],
    }
    options.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(_table(counts, times))
    return 0


def _table(counts: list[Count], times: dict[str, float]) -> str:
    """Return the table of docs/vision.md."""
    lines = ["| detector | one or two | groups | composites | false faces | ms, 640x480 |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, taken in times.items():
        own = {one.group: one for one in counts if one.detector == name}
        shares = [f"{own[g].found}/{own[g].faces}" for g in ("one or two", "groups", "composites")]
        false = sum(one.false_faces for one in own.values() if one.group != "composites")
        lines.append(f"| {name} | {' | '.join(shares)} | {false} | {taken:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
