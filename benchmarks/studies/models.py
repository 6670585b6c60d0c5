"""Every trained network side by side: accuracy and agreement of each precision, and speed in one run."""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import datetime as dt
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_bench.contenders.contender import REFERENCE, Contender
from fer_bench.contenders.inputs import Inputs, dataset_inputs
from fer_bench.contenders.worker_client import Worker, running_workers
from fer_bench.passes import accuracy, rounds
from fer_bench.passes.options import BenchOptions
from fer_bench.record import environment
from fer_bench.record.record import AnswerParity
from fer_bench.record.record_file import load_json
from fer_bench.record.statistics import compare_rounds, throughput
from fer_engine.artifact import files
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.schema import SchemaError, from_json, to_json
from fer_engine.cli import exit_codes
from fer_engine.engine import Engine
from fer_engine.errors import ConfigError, FerError
from fer_engine.runtime.backend import available_backends
from fer_train.data.votes import Votes, distribution, majority
from fer_train.measures import expected_calibration_error
from fer_train.models import find_model
from studies import model_cards
from studies.models_page import render
from studies.models_record import (
    CalibrationErrors,
    MeasuredNetwork,
    NetworkSpeed,
    NetworksRecord,
    TrainingRun,
    Unseen,
)
from studies.subgroups import measure_subgroups, share_of

YARDSTICK = "mini_xception"  # speeds are compared with its
BATCH = 64
SPLIT, TRAINING = "PublicTest", "Training"
SUBGROUPS = ("fp32", "int8")
COMMAND = "benchmarks/studies/models.py"  # as errors name it
RUNS = Path(__file__).parents[2] / "docs" / "results" / "training"  # run.json and log.csv by network


def line_up(artifact: Artifact) -> list[Contender]:
    """Return the reference, each precision on each backend where it keeps its answers, and flip averaging."""
    folder, unfit = str(artifact.folder), artifact.gate.failing()
    contenders = [Contender(REFERENCE, "pytorch", folder, str(artifact.checkpoint))]
    for backend in available_backends("cpu"):
        for precision in artifact.files:
            if (precision, backend) not in unfit:
                name = f"{backend}/{precision}"
                graph = str(artifact.graph(precision))
                contenders.append(Contender(name, "engine", folder, graph, precision, backend))
                if precision == "fp32":
                    flipped = dataclasses.replace(contenders[-1], name=f"{name}/flip", tta="flip")
                    contenders.append(flipped)
    return contenders


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """One network's artifact with its contenders and faces; `seen` tells which Training holds too, [n]."""

    artifact: Artifact
    contenders: list[Contender]
    inputs: Inputs
    seen: NDArray[np.bool_]

    @property
    def name(self) -> str:
        return self.artifact.spec.name

    def measured(
        self,
        answers: dict[str, AnswerParity],
        speed: dict[str, NetworkSpeed],
        single: dict[str, NetworkSpeed],
    ) -> MeasuredNetwork:
        entry = find_model(self.name)
        return MeasuredNetwork(
            model=self.name,
            source=entry.source,
            parameters=entry.parameters,
            multiply_adds=entry.multiply_adds,
            face_shape=self.artifact.spec.face_shape,
            checkpoint_sha256=self.artifact.spec.checkpoint_sha256,
            bytes={precision: file.bytes for precision, file in self.artifact.files.items()},
            training=training(RUNS / self.name),
            answers=answers,
            speed=speed,
            single=single,
            **closer_look(self.artifact, self.inputs, self.seen),
        )


def training(run: Path) -> TrainingRun | None:
    """Return what the log of a network's run says, None where none is kept."""
    if not run.is_dir():
        return None
    asked = json.loads((run / "run.json").read_text("utf-8"))
    with (run / "log.csv").open(encoding="utf-8", newline="") as file:
        epochs = list(csv.DictReader(file))
    accuracies = [float(epoch["validation_accuracy"]) for epoch in epochs]
    # The oldest logs have no score.
    scores = [float(epoch.get("score", epoch["validation_accuracy"])) for epoch in epochs]
    best = scores.index(max(scores))
    return TrainingRun(
        seed=asked["seed"],
        epochs=asked["epochs"],
        finished=len(epochs),
        best_epoch=best + 1,
        best=accuracies[best],
        last=accuracies[-1],
        seconds=sum(float(epoch["seconds"]) for epoch in epochs),
        pictures=tuple(sorted(path.name for path in run.glob("*.png"))),
    )


def read_subjects(folders: Sequence[Path], data: Path, votes: Path | None) -> list[Subject]:
    """Read the artifacts, and the faces in the form of each.

    Raises:
        ArtifactError: an artifact is missing or damaged.
        ConfigError: a network is unknown, none is the one to compare with, or two are the same.
        DataError: the dataset cannot be read.
    """
    subjects = []
    for folder in folders:
        artifact = Artifact.open(folder)
        find_model(artifact.spec.name)  # hours before its entry is asked for
        inputs = dataset_inputs(data, SPLIT, artifact.spec, votes=votes)
        trained_on = {face.tobytes() for face in dataset_inputs(data, TRAINING, artifact.spec).faces}
        seen = np.array([face.tobytes() in trained_on for face in inputs.faces])
        subjects.append(Subject(artifact, line_up(artifact), inputs, seen))
    names = [subject.name for subject in subjects]
    if names.count(YARDSTICK) != 1 or len(set(names)) < len(names):
        raise ConfigError(
            f"expected one artifact a network and one of {YARDSTICK}, with which speeds are compared; "
            f"got {', '.join(names)}"
        )
    return subjects


def measure(subjects: Sequence[Subject], options: BenchOptions) -> Iterator[MeasuredNetwork]:
    """Give each network's row: its answers against PyTorch's and the labels, its speed among the others."""
    with tempfile.TemporaryDirectory(prefix="fer-models.") as scratch, contextlib.ExitStack() as stack:
        crews: list[dict[str, Worker]] = []
        for index, subject in enumerate(subjects):
            faces = Path(scratch) / f"{index}.npy"
            np.save(faces, subject.inputs.faces)
            crews.append(stack.enter_context(running_workers(subject.contenders, str(faces))))
        answers = []
        for subject, crew in zip(subjects, crews, strict=True):
            print(f"{subject.name}: answers of {len(crew)} contenders", file=sys.stderr, flush=True)
            answers.append(accuracy.measure_parity(crew, subject.inputs, Path(scratch)))
        print(f"speed at batch {BATCH} and 1: {options.rounds} rounds", file=sys.stderr, flush=True)
        everyone = {
            f"{subject.name} {name}": worker
            for subject, crew in zip(subjects, crews, strict=True)
            for name, worker in crew.items()
            if name != REFERENCE
        }
        samples = {batch: rounds.run_rounds(everyone, batch, options) for batch in (BATCH, 1)}
    rates = {
        batch: {name: [throughput(turn, batch) for turn in turns] for name, turns in found.items()}
        for batch, found in samples.items()
    }
    for subject, found in zip(subjects, answers, strict=True):
        yield subject.measured(found, _speeds(subject, rates[BATCH]), _speeds(subject, rates[1]))


def closer_look(artifact: Artifact, inputs: Inputs, seen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the fields `unseen`, `calibration` and `subgroups` of a network, as its engines answer."""
    labels, votes, names = inputs.labels, inputs.votes, inputs.names
    assert labels is not None  # noqa: S101 - subjects are read from a labelled split
    found: dict[str, Any] = {"subgroups": {}}
    for precision in SUBGROUPS:
        if precision not in artifact.files:
            continue
        with Engine.load(artifact, precision=precision, backend="onnxruntime", device="cpu") as engine:
            logits = engine.logits(inputs.faces)
            mirrored = engine.logits(np.ascontiguousarray(inputs.faces[:, :, ::-1])).argmax(1)
        answers = logits.argmax(1)
        found["subgroups"][precision] = measure_subgroups(
            inputs.faces, labels, votes, names, answers, mirrored
        )
        if precision == "fp32":
            right, voted = answers == labels, None if votes is None else majority(votes, names)
            unseen = share_of(right[~seen])
            if unseen is not None:
                clear = None if voted is None else share_of((answers == voted)[~seen & (voted >= 0)])
                found["unseen"] = Unseen(unseen, clear)
            found["calibration"] = _calibration(logits, artifact.spec.temperature, right, votes, names)
    return found


def _calibration(
    logits: NDArray[np.float32],
    temperature: float,
    right: NDArray[np.bool_],
    votes: Votes | None,
    names: Sequence[str],
) -> CalibrationErrors:
    before = logits * temperature  # the graph has divided by it
    shares, voted = None, right
    if votes is not None:
        given = distribution(votes, names)
        voted = given.sum(1) > 0
        shares = given[np.arange(len(logits)), logits.argmax(1)][voted]
    return CalibrationErrors(
        temperature=temperature,
        labels_before=expected_calibration_error(before, right),
        labels=expected_calibration_error(logits, right),
        votes_before=None if shares is None else expected_calibration_error(before[voted], shares),
        votes=None if shares is None else expected_calibration_error(logits[voted], shares),
    )


def _speeds(subject: Subject, rates: Mapping[str, list[float]]) -> dict[str, NetworkSpeed]:
    """Return the throughput of each contender, and its ratio to the yardstick in the same setting."""
    found = {}
    for contender in subject.contenders:
        own, other = rates.get(f"{subject.name} {contender.name}"), rates.get(f"{YARDSTICK} {contender.name}")
        if own is not None:
            ratio = None if other is None else compare_rounds(own, other)
            found[contender.name] = NetworkSpeed(tuple(own), statistics.median(own), ratio)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "artifacts", nargs="*", type=Path, help=f"artifacts of fer-export, one of {YARDSTICK}"
    )
    parser.add_argument("--data", type=Path, help="FER2013 as fer-train takes it")
    parser.add_argument("--votes", type=Path, help="FER+'s votes for --data (default: those in it, if any)")
    parser.add_argument("--json", type=Path, required=True, help="the record, written here unless --render")
    parser.add_argument("--markdown", type=Path, help="write the table here as well")
    parser.add_argument(
        "--cards", action="store_true", help="write the figures into the model cards and README as well"
    )
    parser.add_argument("--rounds", type=int, default=9, help="turns of each engine (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a turn (default: %(default)s)")
    parser.add_argument("--render", action="store_true", help="show the record of --json, measure nothing")
    options = parser.parse_args(argv)
    return exit_codes.run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.render:
        try:
            record = from_json(NetworksRecord, load_json(options.json, COMMAND))
        except SchemaError as error:
            raise FerError(f"{options.json} is damaged: {error}; measure again with {COMMAND}") from None
    else:
        record = _measured(options)
        files.write_text(options.json, json.dumps(to_json(record), indent=1) + "\n")
    text = render(record)
    if options.markdown:
        files.write_text(options.markdown, text)
    if options.cards:
        model_cards.write(record)
    print(text)
    return 0


def _measured(options: argparse.Namespace) -> NetworksRecord:
    if options.data is None:
        raise ConfigError("accuracy needs labelled faces: give --data fer2013.csv")
    subjects = read_subjects(options.artifacts, options.data, options.votes)
    bench = BenchOptions(batches=(BATCH,), rounds=options.rounds, seconds=options.seconds)
    date, load_before = dt.datetime.now(dt.timezone.utc), environment.load_average()
    models = tuple(measure(subjects, bench))
    return NetworksRecord(
        date=date.isoformat(timespec="seconds"),
        command=shlex.join(["python", *sys.argv]),
        environment=environment.describe_machine(load_before=load_before),
        faces=subjects[0].inputs.description,
        batch=BATCH,
        rounds=bench.rounds,
        seconds=bench.seconds,
        models=models,
    )


if __name__ == "__main__":
    sys.exit(main())
