"""Packages with a facial-expression network of their own, and this project's networks, on the same faces.

All are measured in the rounds of fer-bench, beside plain ONNX Runtime on mini_xception. A package's answers
have an accuracy and no parity: its network is another. Each package runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_bench import arguments
from fer_bench.contenders import inputs
from fer_bench.contenders.contender import BASELINE, Contender, Skipped
from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.worker_client import SupportsAsk, Worker, running_workers
from fer_bench.passes import rounds
from fer_bench.passes.energy.meters import Meters
from fer_bench.passes.options import BenchOptions
from fer_bench.record import environment
from fer_bench.record.record import ColdStart, Memory, OwnAccuracy, RuntimeInfo, Startup
from fer_bench.record.record_file import check_writable, dump_json
from fer_bench.record.statistics import compare_rounds, throughput
from fer_engine.artifact import files
from fer_engine.artifact.schema import from_json, to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError
from fer_engine.exporter import MODEL as YARDSTICK
from fer_export.verify import parity
from fer_export.verify.votes import measure_votes
from studies.models_record import NetworkSpeed
from studies.other_networks import environments
from studies.other_networks.networks import NETWORKS
from studies.other_networks.own import OwnNetwork, own_graph, own_networks
from studies.other_networks.page import read_rows, render
from studies.other_networks.record import (
    Kind,
    MajorityAccuracy,
    MeasuredPeerNetwork,
    OtherNetworksRecord,
    load_record,
)

WARMUP_CALLS = 1  # facex takes seconds for a call of 64 faces
MEMORY_FACES = 64  # facex and vgg16_48 take minutes for fer-bench's 10,000
OWN = ("accuracy", "interval", "recall", "ece")  # what a network's answers say without another's
Accuracies = tuple[OwnAccuracy | None, MajorityAccuracy | None]  # against the labels, against the votes


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender with the faces that it takes."""

    contender: Contender
    kind: Kind
    inputs: Inputs


def line_up(
    own: Sequence[OwnNetwork], folders: Mapping[str, Path], faces: Callable[[ModelSpec], Inputs]
) -> list[Entrant]:
    """Return the baseline, this project's networks, and the packages that have an environment in `folders`.

    `faces` gives the faces in the form of a network; the packages take mini_xception's.

    Raises:
        BackendError: a package is not installed in its environment.
    """
    yardstick = next(network for network in own if network.spec.name == YARDSTICK)
    folder, gray = yardstick.contender.artifact, faces(yardstick.spec)
    found = [Entrant(own_graph(BASELINE, folder, yardstick.contender.file), "baseline", gray)]
    found += [Entrant(network.contender, network.kind, faces(network.spec)) for network in own]
    packages = environments.contenders(folders, Path(folder))
    return found + [Entrant(contender, "package", gray) for contender in packages]


def measure(
    entrants: Sequence[Entrant],
    options: BenchOptions,
    start: Callable[[Contender], Worker],
    earlier: OtherNetworksRecord | None = None,
) -> tuple[tuple[MeasuredPeerNetwork, ...], str]:
    """Return what is measured of each network, and where its energy comes from.

    Accuracies of packages are taken from the record `earlier` where faces, votes and version are its own.

    Raises:
        FerError: a contender fails.
    """
    meters, speed = Meters(options.device), {}
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory(prefix="fer-bench.") as scratch, contextlib.ExitStack() as stack:
        for index, crew in enumerate(_crews(entrants)):
            path = str(Path(scratch) / f"{index}.npy")
            np.save(path, crew[0].inputs.faces)
            contenders = [entrant.contender for entrant in crew]
            _say(f"start {', '.join(contender.name for contender in contenders)}")
            workers |= stack.enter_context(running_workers(contenders, path, start))
        starts = {name: _cold_start(worker) for name, worker in workers.items()}
        infos = {name: from_json(RuntimeInfo, worker.ask("info")) for name, worker in workers.items()}
        known = {} if earlier is None else _known(earlier, entrants[0].inputs, infos)
        answers = known | _answers(entrants, workers, Path(scratch), known)
        metered = meters.metered(workers, [])
        for batch in options.batches:
            _say(f"speed at batch {batch}: {options.rounds} rounds")
            asked = metered if batch == max(options.batches) else workers
            speed[batch] = _speeds(rounds.run_rounds(asked, batch, options), batch)
        # The last request: a worker gives its faces back.
        memory = {name: worker.ask("memory", count=options.memory_faces) for name, worker in workers.items()}
    joules, source = meters.joules_by_cpu()
    measured = []
    for entrant in entrants:
        contender = entrant.contender
        accuracy, majority = answers.get(contender.name, (None, None))
        measured.append(
            MeasuredPeerNetwork(
                name=contender.name,
                kind=entrant.kind,
                bytes=contender.file_bytes or 0,
                info=infos[contender.name],
                startup=Startup((starts[contender.name],), from_json(Memory, memory[contender.name])),
                speed={str(batch): found[contender.name] for batch, found in speed.items()},
                joules=joules.get(contender.name),
                accuracy=accuracy,
                majority=majority,
            )
        )
    return tuple(measured), source


def _cold_start(worker: Worker) -> ColdStart:
    """Return what import, load and first call took in the process that goes on to measure the rest."""
    first = worker.ask("turn", batch=1, seconds=1.0, calls=1, warmup_calls=0)["samples_ns"][0]
    parts = (worker.loaded["import_ns"], worker.loaded["load_ns"], first)
    return ColdStart(*parts, sum(parts))


def _crews(entrants: Sequence[Entrant]) -> list[list[Entrant]]:
    """Return the entrants by the shape of their faces."""
    crews: dict[tuple[int, ...], list[Entrant]] = {}
    for entrant in entrants:
        crews.setdefault(entrant.inputs.faces.shape, []).append(entrant)
    return list(crews.values())


def _known(
    earlier: OtherNetworksRecord, faces: Inputs, infos: Mapping[str, RuntimeInfo]
) -> dict[str, Accuracies]:
    """Return the accuracies of an earlier record that hold for these faces and packages too."""
    if earlier.faces != faces.described():
        raise ConfigError(
            f"the earlier record is of other faces: {earlier.faces.description}, not {faces.description}; "
            "give the data and votes that it was measured on, or leave out --answers"
        )
    return {
        network.name: (network.accuracy, network.majority)
        for network in earlier.networks
        if network.accuracy is not None
        and network.name in infos
        and network.info.version == infos[network.name].version
    }


def _answers(
    entrants: Sequence[Entrant],
    workers: Mapping[str, SupportsAsk],
    folder: Path,
    known: Mapping[str, Accuracies],
) -> dict[str, Accuracies]:
    found = {}
    for entrant in entrants:
        name = entrant.contender.name
        if entrant.kind == "package" and name not in known:
            _say(f"answers of {name}")
            found[name] = measure_answers(workers[name], entrant.inputs, folder)
    return found


def measure_answers(worker: SupportsAsk, faces: Inputs, folder: Path) -> Accuracies:
    """Return a network's accuracy against the labels and against the majority of the votes.

    They are measured as `fer_export.verify` does it; None without labels, or without votes. The worker
    holds the faces and leaves its logits in `folder`.

    Raises:
        ConfigError: the network gave logits that do not fit the labels.
    """
    if faces.labels is None:
        return None, None
    path = folder / "logits.npy"
    worker.ask("logits", path=str(path))
    logits = np.load(path)
    labelled = parity.measure_parity(logits, logits, faces.labels).labelled
    majority = None
    if faces.votes is not None:
        voted = measure_votes(logits, logits, faces.votes, faces.names)
        majority = MajorityAccuracy(**_own(voted), faces=voted.faces)
    return OwnAccuracy(**_own(labelled)), majority


def _own(measured: object) -> dict[str, Any]:
    return {name: getattr(measured, name) for name in OWN}


def _speeds(samples: Mapping[str, list[list[int]]], batch: int) -> dict[str, NetworkSpeed]:
    rates = {name: [throughput(turn, batch) for turn in turns] for name, turns in samples.items()}
    return {
        name: NetworkSpeed(tuple(own), statistics.median(own), compare_rounds(own, rates[BASELINE]))
        for name, own in rates.items()
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m studies.other_networks", description=__doc__)
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help=f"a package and its environment, once for each; packages: {', '.join(NETWORKS)}",
    )
    parser.add_argument("--data", type=Path, help="FER2013 in any form (default: synthetic faces, no labels)")
    parser.add_argument("--votes", type=Path, help="FER+'s votes for --data (default: those in it, if any)")
    parser.add_argument(
        "--answers", type=Path, help="an earlier record on the same faces, to take the accuracies from"
    )
    parser.add_argument("--split", default=arguments.SPLIT, help="of --data (default: %(default)s)")
    parser.add_argument("--batch", default="1,16", help="batch sizes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each network (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn (default: %(default)s)")
    parser.add_argument(
        "--json",
        type=Path,
        default=Path("reports/other_networks.json"),
        help="the record (default: %(default)s)",
    )
    options = parser.parse_args(argv)
    line = shlex.join([parser.prog, *(sys.argv[1:] if argv is None else argv)])
    return exit_codes.run_command(lambda: _run(options, line))


def _run(options: argparse.Namespace, line: str) -> int:
    folders = environments.parse(options.environment)
    bench = BenchOptions(
        batches=arguments.numbers("--batch", options.batch),
        rounds=options.rounds,
        seconds=options.seconds,
        warmup_calls=WARMUP_CALLS,
        memory_faces=MEMORY_FACES,
    )
    check_writable(options.json)
    earlier = None if options.answers is None else load_record(options.answers)

    read: dict[tuple[int, ...], Inputs] = {}

    def faces(spec: ModelSpec) -> Inputs:
        if spec.face_shape not in read:
            if options.data is None:
                read[spec.face_shape] = inputs.synthetic_inputs(spec)
            else:
                found = inputs.dataset_inputs(options.data, options.split, spec, votes=options.votes)
                read[spec.face_shape] = found
        return read[spec.face_shape]

    with tempfile.TemporaryDirectory(prefix="fer-bench.") as scratch:
        entrants = line_up(own_networks(Path(scratch)), folders, faces)
        date, load_before = dt.datetime.now(dt.timezone.utc), environment.load_average()
        networks, energy_source = measure(
            entrants, bench, partial(environments.start_worker, folders), earlier
        )
    record = OtherNetworksRecord(
        date=date.isoformat(timespec="seconds"),
        command=line,
        environment=environment.describe_machine(load_before=load_before),
        faces=entrants[0].inputs.described(),
        batches=bench.batches,
        rounds=bench.rounds,
        seconds=bench.seconds,
        networks=networks,
        skipped=tuple(Skipped(name, "no --environment") for name in NETWORKS if name not in folders),
        energy_source=energy_source,
    )
    files.write_text(options.json, dump_json(to_json(record)))
    print(render(record, read_rows(record)))
    print(f"record: {options.json}")
    return 0
