"""Frames a second of the pipeline on a 640x480 video of one and two faces, beside a loop over the frames.

The loop decodes, detects and classifies one frame after another with the same detector. All contenders take
turns in one process, on a video made here from two portraits in the public domain. Labels are compared
frame by frame with the loop's.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from skimage import data

from fer_bench.record import environment
from fer_engine import Engine
from fer_engine.artifact.schema import to_json
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError
from fer_engine.system.cpu import usable_cores
from fer_engine.vision import (
    Boxes,
    Detections,
    Face,
    HaarDetector,
    Image,
    Pipeline,
    VideoWriter,
    find_expressions,
    frames,
)
from fer_engine.vision.video.follower import Follower
from fer_engine.vision.video.track import intersection_over_union

WIDTH, HEIGHT, RATE = 640, 480, 30
SAME_PLACE = 0.5  # least intersection over union of two boxes of one face
SENSOR_NOISE = 2.0  # deviation of a camera's pixels, in steps of 256

Answers = list[tuple[Face, ...]]  # of each frame


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    run: Callable[[Path], Answers]
    opencv_threads: int
    detector_threads: int
    every: int


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("artifact", type=Path, help="the folder that fer-export wrote")
    parser.add_argument("--frames", type=int, default=90, metavar="N", help="length of the video")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--every", type=int, nargs="*", default=[2, 3, 5, 10], metavar="N")
    parser.add_argument("--json", type=Path, metavar="F", help="write the measurement here as well")
    return exit_codes.run_command(lambda: _measure_and_show(parser.parse_args()))


def _measure_and_show(options: argparse.Namespace) -> int:
    check(options)
    result = measure(options.artifact, options.frames, options.rounds, options.every)
    print(table(result), following_table(result), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def check(options: argparse.Namespace) -> None:
    """Make sure that there will be something to compare, before anything is measured.

    Raises:
        ConfigError: there will not.
    """
    if options.rounds < 1:
        raise ConfigError(f"--rounds must be at least 1, got {options.rounds}")
    if options.frames < RATE:
        raise ConfigError(f"--frames must be at least {RATE}, a second of video, got {options.frames}")
    for step in options.every:
        if step < 2:
            raise ConfigError(
                f"--every must be at least 2, got {step}; a detection in every frame is measured anyway"
            )


def table(result: dict[str, Any]) -> str:
    """Return what was measured as a table in Markdown."""
    lines = [
        "| contender | frames/s | ratio to the loop | frames with the same labels | faces found |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in result["contenders"]:
        low, high = row["ratio_spread"]
        lines.append(
            f"| {row['name']} | {row['frames_per_second']:.1f} | {row['ratio']:.2f}x [{low:.2f}, {high:.2f}] "
            f"| {row['frames_with_same_labels']:.1%} | {row['faces_found']:.1%} |"
        )
    return "\n".join(lines)


def following_table(result: dict[str, Any]) -> str:
    """Return how well boxes fit between detections as a table in Markdown."""
    lines = [
        "| every | overlap where boxes stay | overlap with optical flow | flow, ms of a core |",
        "| ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['every']} | {row['overlap_staying']:.3f} | {row['overlap_with_flow']:.3f} "
        f"| {row['flow_cpu_ms']:.1f} |"
        for row in result["between_detections"]
    ]
    return "\n".join(lines)


def measure(artifact: Path, count: int, rounds: int, every: Sequence[int]) -> dict[str, Any]:
    """Return the record of all contenders on one video of `count` frames."""
    load_before = environment.load_average()
    with tempfile.TemporaryDirectory() as folder, Engine.load(artifact) as engine:
        video = Path(folder, "faces.mp4")
        write_video(video, count)
        contenders = line_up(engine, every)
        answers = {contender.name: _run(contender, video)[1] for contender in contenders}  # and warms up
        seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for turn in range(rounds):
            for contender in contenders if turn % 2 == 0 else reversed(contenders):
                seconds[contender.name].append(_run(contender, video)[0])
        info = engine.info
        images = [frame.image for frame in frames(video)]
    reference = contenders[0].name
    return {
        "video": {
            "width": WIDTH,
            "height": HEIGHT,
            "frames": count,
            "faces": _face_counts(answers[reference]),
        },
        "engine": {
            "model": info.model,
            "precision": info.precision,
            "backend": info.backend,
            "threads": info.threads,
        },
        "detector": {name: p.default for name, p in inspect.signature(HaarDetector).parameters.items()},
        "rounds": rounds,
        "load_average_before": load_before,
        "contenders": [_row(contender, seconds, answers, reference, count) for contender in contenders],
        "detection_cpu_ms": detection_cost(images),
        "between_detections": [between(images, answers[reference], step) for step in every],
        "environment": to_json(environment.describe_machine()) | {"opencv": cv2.__version__},
    }


def line_up(engine: Engine, every: Sequence[int]) -> list[Contender]:
    """Return the loop, first, with OpenCV's own threads and without, and the pipelines."""
    detector, cores, default = HaarDetector(), usable_cores(), cv2.getNumThreads()

    def loop(video: Path) -> Answers:
        return [find_expressions(engine, frame.image, detector) for frame in frames(video)]

    def pipeline(step: int) -> Callable[[Path], Answers]:
        chosen = Pipeline(engine, detector, every=step, detector_threads=cores)
        return lambda video: [analysis.faces for analysis in chosen.run(frames(video))]

    return [
        Contender("loop", loop, default, 1, 1),
        Contender("loop, OpenCV 1 thread", loop, 1, 1, 1),
        *(Contender(f"pipeline, every {n}", pipeline(n), default, cores, n) for n in (1, *every)),
    ]


def write_video(path: Path, count: int) -> None:
    """Write a video in which one face moves, nears and recedes, and after a third of it a second comes."""
    random = np.random.default_rng(0)
    with VideoWriter(path, RATE) as writer:
        for image in scenes(count):
            noise = random.normal(0, SENSOR_NOISE, image.shape)
            writer.write(np.clip(image + noise, 0, 255).astype(np.uint8))


def scenes(count: int) -> Iterator[Image]:
    """Yield the images of the video without noise, uint8 [480, 640, 3] in BGR."""
    portraits = Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")
    hopper = cv2.imread(str(portraits))[:400, 60:460]
    astronaut = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)[:320, 100:340]
    room = cv2.resize(cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2BGR), (WIDTH, HEIGHT))
    for index in range(count):
        time_s = index / RATE
        image = room.copy()
        swing = np.sin(time_s)
        _paste(image, astronaut, 60 + 50 * swing, 110 + 30 * np.cos(0.7 * time_s), 0.8 + 0.15 * swing)
        if index >= count // 3:
            _paste(image, hopper, 350 + 40 * np.cos(0.8 * time_s), 70 + 30 * swing, 0.6 + 0.1 * swing)
        yield image


def _paste(image: Image, portrait: Image, left: float, top: float, scale: float) -> None:
    """Draw a portrait at a place between pixels, so that its movement is smooth."""
    matrix = np.array([[scale, 0, left], [0, scale, top]])
    cv2.warpAffine(
        portrait,
        matrix,
        (WIDTH, HEIGHT),
        dst=image,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _run(contender: Contender, video: Path) -> tuple[float, Answers]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(contender.opencv_threads)
    try:
        start = time.perf_counter()
        answers = contender.run(video)
        return time.perf_counter() - start, answers
    finally:
        cv2.setNumThreads(before)


def _row(
    contender: Contender,
    seconds: dict[str, list[float]],
    answers: dict[str, Answers],
    reference: str,
    count: int,
) -> dict[str, Any]:
    ratios = [base / own for base, own in zip(seconds[reference], seconds[contender.name], strict=True)]
    return {
        "name": contender.name,
        "every": contender.every,
        "detector_threads": contender.detector_threads,
        "opencv_threads": contender.opencv_threads,
        "frames_per_second": count / statistics.median(seconds[contender.name]),
        "ratio": statistics.median(ratios),
        "ratio_spread": [min(ratios), max(ratios)],
        **compare(answers[reference], answers[contender.name]),
    }


def compare(expected: Answers, given: Answers) -> dict[str, float]:
    """Return the shares of frames with the same labels, and of faces found."""
    pairs = list(zip(expected, given, strict=True))
    overlaps = [share for ours, theirs in pairs for share in _overlaps(_boxes(ours), _boxes(theirs))]
    return {
        "frames_with_same_labels": statistics.fmean(
            [f.label for f in a] == [f.label for f in b] for a, b in pairs
        ),
        "faces_found": statistics.fmean(share >= SAME_PLACE for share in overlaps),
    }


def detection_cost(images: Sequence[Image]) -> float:
    """Return the processor time of a detection, of all threads together, in milliseconds."""
    detector = HaarDetector()
    detector(images[0])
    start = time.process_time()
    for image in images:
        detector(image)
    return (time.process_time() - start) / len(images) * 1000


def between(images: Sequence[Image], detected: Answers, step: int) -> dict[str, float]:
    """Return how well boxes fit between detections: mean overlap with those of a detection in each frame.

    Boxes that stay where they were are told beside those that optical flow moves, and what the flow costs.
    """
    follower = Follower(flow=True)
    stay: list[float] = []
    flow: list[float] = []
    start = time.process_time()
    located = [
        follower.track(image, Detections(_boxes(faces)) if index % step == 0 else None).boxes
        for index, (image, faces) in enumerate(zip(images, detected, strict=True))
    ]
    cost = (time.process_time() - start) / len(images) * 1000
    for index, faces in enumerate(detected):
        if index % step:
            stay += _overlaps(_boxes(faces), _boxes(detected[index - index % step]))
            flow += _overlaps(_boxes(faces), located[index])
    return {
        "every": step,
        "overlap_staying": statistics.fmean(stay),
        "overlap_with_flow": statistics.fmean(flow),
        "flow_cpu_ms": cost,
    }


def _overlaps(boxes: Boxes, others: Boxes) -> list[float]:
    """Return each box's largest overlap with the others, 0 where there is none."""
    return intersection_over_union(boxes, others).max(axis=1, initial=0).tolist()


def _boxes(faces: tuple[Face, ...]) -> Boxes:
    return np.array([face.box for face in faces], np.int32).reshape(-1, 4)


def _face_counts(answers: Answers) -> dict[str, int]:
    """Return how many frames have each number of faces."""
    return {str(n): frames for n, frames in sorted(Counter(len(faces) for faces in answers).items())}


if __name__ == "__main__":
    sys.exit(main())
