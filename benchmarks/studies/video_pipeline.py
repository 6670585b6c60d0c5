"""Frames a second from a 640x480 video to its answers, what each stage takes, and the detectors compared.

All contenders take turns in one process on a video made here from two portraits in the public domain.
OpenCV has a thread of its own with the finder, as in the commands, and its default with Haar. The
package `fer` (FER() as it comes, its loop over the frames) takes its turns in a process of its own
environment: `--fer envs/fer/bin/python`. Labels and faces are compared frame by frame with those of the
pipeline that is the default.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
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
from fer_engine.vision import (
    Boxes,
    Detections,
    Face,
    FaceFinder,
    HaarDetector,
    Image,
    Pipeline,
    VideoWriter,
    frames,
)
from fer_engine.vision.crop import MARGIN, crop_faces
from fer_engine.vision.video.follower import Follower
from fer_engine.vision.video.scene import SceneChange
from fer_engine.vision.video.track import intersection_over_union

WIDTH, HEIGHT, RATE = 640, 480, 30
SAME_PLACE = 0.5  # least intersection over union of two boxes of one face
SENSOR_NOISE = 2.0  # deviation of a camera's pixels, in steps of 256

DEFAULT = "finder, every frame"
FORMER = "Haar, every frame"  # what ratios are to: the pipeline before the finder
# The loop of the package's own examples: OpenCV's reader, then everything for one frame after another. It
# answers each line on standard input with the number of faces it found.
FER_LOOP = """
import sys
import cv2
from fer.fer import FER
finder = FER()
for _ in sys.stdin:
    video, found = cv2.VideoCapture(sys.argv[1]), 0
    while (read := video.read())[0]:
        found += len(finder.detect_emotions(read[1]))
    print("found", found, flush=True)
"""

Answers = list[tuple[Face, ...]]  # of each frame


@dataclass(frozen=True, slots=True)
class Contender:
    """`run` returns the answers, None where they are no concern of ours."""

    name: str
    run: Callable[[Path], Answers | None]
    every: int = 1
    opencv_threads: int = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("artifact", type=Path, help="the folder that fer-export wrote")
    parser.add_argument("--frames", type=int, default=90, metavar="N", help="length of the video")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--every", type=int, nargs="*", default=[2, 3, 5, 10], metavar="N")
    parser.add_argument("--fer", metavar="PYTHON", help="interpreter of an environment with the package fer")
    parser.add_argument("--json", type=Path, metavar="F", help="write the measurement here as well")
    return exit_codes.run_command(lambda: _measure_and_show(parser.parse_args()))


def _measure_and_show(options: argparse.Namespace) -> int:
    check(options)
    result = measure(options)
    print(table(result), stage_table(result), following_table(result), sep="\n\n")
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
        "| contender | frames/s | ratio | frames with the same labels | faces found |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in result["contenders"]:
        low, high = row["ratio_spread"]
        answers = [row["frames_with_same_labels"], row["faces_found"]]
        told = " | ".join("not compared" if value is None else f"{value:.1%}" for value in answers)
        lines.append(
            f"| {row['name']} | {row['frames_per_second']:.1f} | {row['ratio']:.2f}x [{low:.2f}, {high:.2f}] "
            f"| {told} |"
        )
    return "\n".join(lines)


def stage_table(result: dict[str, Any]) -> str:
    """Return the processor time of each stage as a table in Markdown."""
    lines = ["| stage | ms of a core, a frame |", "| --- | ---: |"]
    lines += [f"| {name} | {value:.2f} |" for name, value in result["stages_cpu_ms"].items()]
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


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the record of all contenders on one video."""
    load_before = environment.load_average()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        video = Path(folder, "faces.mp4")
        write_video(video, options.frames)
        engine = stack.enter_context(Engine.load(options.artifact, precision="fp32", backend="onnxruntime"))
        fastest = stack.enter_context(Engine.load(options.artifact, precision="int8", backend="openvino"))
        contenders = line_up(engine, fastest, options.every)
        if options.fer:
            contenders.append(fer_package(options.fer, video, stack))
        answers = {contender.name: _run(contender, video)[1] for contender in contenders}  # and warms up
        seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for turn in range(options.rounds):
            for contender in contenders if turn % 2 == 0 else reversed(contenders):
                seconds[contender.name].append(_run(contender, video)[0])
        reference = answers[DEFAULT]
        if reference is None:
            raise ConfigError(f"no contender is called {DEFAULT}, with which the others are compared")
        images = [frame.image for frame in frames(video)]
        return {
            "video": {
                "width": WIDTH,
                "height": HEIGHT,
                "frames": options.frames,
                "faces": _face_counts(reference),
            },
            "model": engine.info.model,
            "rounds": options.rounds,
            "load_average_before": load_before,
            "contenders": [_row(contender, seconds, answers, options.frames) for contender in contenders],
            "stages_cpu_ms": stages(video, images, reference, engine),
            "between_detections": [between(images, reference, step) for step in options.every],
            "environment": to_json(environment.describe_machine()) | {"opencv": cv2.__version__},
        }


def line_up(engine: Engine, fastest: Engine, every: Sequence[int]) -> list[Contender]:
    """Return the former pipeline, first, the default, the fastest by name, and those that skip frames."""
    haar, finder = HaarDetector(), FaceFinder()
    openvino = FaceFinder(backend="openvino", precision="int8")

    def pipeline(name: str, own: Engine, detector: Any, step: int = 1, threads: int = 1) -> Contender:
        chosen = Pipeline(own, detector, every=step)
        return Contender(name, lambda video: [one.faces for one in chosen.run(frames(video))], step, threads)

    return [
        pipeline(FORMER, engine, haar, threads=cv2.getNumThreads()),
        pipeline(DEFAULT, engine, finder),
        pipeline("finder on OpenVINO, INT8, every frame", fastest, openvino),
        *(pipeline(f"finder, every {step}", engine, finder, step) for step in every),
        *(pipeline(f"finder on OpenVINO, INT8, every {step}", fastest, openvino, step) for step in every),
    ]


def fer_package(python: str, video: Path, stack: ExitStack) -> Contender:
    """Start the loop of the package `fer`, which goes over the video once for each line that it gets."""
    child = stack.enter_context(
        subprocess.Popen(
            [python, "-c", FER_LOOP, str(video)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    stack.callback(child.kill)

    def run(_: Path) -> None:
        if child.stdin is None or child.stdout is None:
            raise ConfigError("the loop of the package fer has no pipes")
        child.stdin.write("\n")
        child.stdin.flush()
        while not (line := child.stdout.readline()).startswith("found"):
            if not line:
                raise ConfigError(
                    f"{python} cannot run the package fer: pip install fer 'setuptools<81' there"
                )

    return Contender("the package fer, its loop", run)


def stages(video: Path, images: Sequence[Image], faces: Answers, engine: Engine) -> dict[str, float]:
    """Return the processor time of each stage for a frame, in milliseconds, each stage by itself."""
    finder, haar, scene = FaceFinder(), HaarDetector(), SceneChange()
    openvino = FaceFinder(backend="openvino", precision="int8")
    boxes = [_boxes(found) for found in faces]
    crops = [crop_faces(*pair, engine.spec, MARGIN) for pair in zip(images, boxes, strict=True)]
    steps: dict[str, Callable[[], object]] = {
        "decode, as BGR": lambda: [frame.image for frame in frames(video)],
        "tell cuts of scene": lambda: [scene(image) for image in images],
        "find, ONNX Runtime FP32": lambda: [finder(image) for image in images],
        "find, OpenVINO INT8": lambda: [openvino(image) for image in images],
        "find, Haar": lambda: [haar(image) for image in images],
        "crop faces": lambda: [
            crop_faces(*pair, engine.spec, MARGIN) for pair in zip(images, boxes, strict=True)
        ],
        "classify, ONNX Runtime FP32": lambda: [engine.predict(faces) for faces in crops],
    }
    found = {}
    for name, step in steps.items():
        step()
        start = time.process_time()
        step()
        found[name] = (time.process_time() - start) / len(images) * 1000
    return found


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


def _run(contender: Contender, video: Path) -> tuple[float, Answers | None]:
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
    answers: dict[str, Answers | None],
    count: int,
) -> dict[str, Any]:
    ratios = [base / own for base, own in zip(seconds[FORMER], seconds[contender.name], strict=True)]
    return {
        "name": contender.name,
        "every": contender.every,
        "frames_per_second": count / statistics.median(seconds[contender.name]),
        "ratio": statistics.median(ratios),
        "ratio_spread": [min(ratios), max(ratios)],
        **compare(answers[DEFAULT], answers[contender.name]),
    }


def compare(expected: Answers | None, given: Answers | None) -> dict[str, float | None]:
    """Return the shares of frames with the same labels, and of faces found; None where nothing is known."""
    if expected is None or given is None:
        return {"frames_with_same_labels": None, "faces_found": None}
    pairs = list(zip(expected, given, strict=True))
    overlaps = [share for ours, theirs in pairs for share in _overlaps(_boxes(ours), _boxes(theirs))]
    return {
        "frames_with_same_labels": statistics.fmean(
            [f.label for f in a] == [f.label for f in b] for a, b in pairs
        ),
        "faces_found": statistics.fmean(share >= SAME_PLACE for share in overlaps),
    }


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
