"""Requests a second of fer-serve under 16 concurrent clients, with dynamic batching and without.

Each contender is a server in a process of its own; all of one case are up at once and take turns. One has an
engine that computes nothing: no batching can make a service faster than that. A client
has one connection and one request under way. All clients live in one thread of this process, with prepared
bodies and sockets of their own, so that they cost little; what they cost is measured. Then requests with
faces of their own are sent, and every answer is held against the engine's own for those faces.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from fer_bench.record import environment, statistics
from fer_engine import Engine
from fer_engine.artifact.schema import to_json
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError, FerError
from fer_engine.shipped import MODEL, shipped_artifact
from studies.serve_client import Load, patches, read_answer, request_of

# Without dynamic batching each request runs the engine alone: one after another, two at once, or each in a
# thread of its own, as frameworks do with handlers that block.
BATCHED = "batched"
ALONE = {"alone": 1, "alone, 2 at once": 2, "alone, 16 at once": 16}
# The same service with an engine that computes nothing: no batching can cost less than HTTP alone.
CEILING = "ceiling: no engine"
CONTENDERS = (*ALONE, BATCHED, CEILING)
PREPARED = 512  # different requests that a turn sends over and over
WARMUP_SECONDS = 0.5
READY = re.compile(r"http://127\.0\.0\.1:(\d+) is ready")  # what fer-serve prints
NEAR = 1e-3  # between logits of one face in batches of different sizes, in float32


class Server:
    """A fer-serve in a process of its own."""

    def __init__(self, artifact: Path, backend: str, precision: str, options: Sequence[str] = ()) -> None:
        words = ["--artifact", str(artifact), "--backend", backend, "--precision", precision]
        words += ["--port", "0", "--drain-delay", "0", *options]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fer_engine.serve", *words], stdout=subprocess.PIPE, text=True
        )
        ready = READY.search(self._process.stdout.readline())  # type: ignore[union-attr]
        if ready is None:
            self.stop()
            raise FerError(f"fer-serve {' '.join(words)} did not start; its error stands above")
        self.port = int(ready[1])

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()

    def count(self, name: str) -> float:
        """Return the value of one of the server's metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


class Case(NamedTuple):
    """What is served, and how many faces a request has; as on the command line, with commas."""

    artifact: Path
    backend: str = "onnxruntime"
    precision: str = "fp32"
    faces: int = 1

    @classmethod
    def parse(cls, text: str) -> Case:
        try:
            artifact, backend, precision, faces = text.split(",")
            return cls(Path(artifact), backend, precision, int(faces))
        except ValueError:
            raise ConfigError(f"a case is ARTIFACT,BACKEND,PRECISION,FACES, got {text!r}") from None


@dataclass(slots=True)
class Turn:
    """One contender's turn of one round."""

    requests: int
    seconds: float
    samples_ns: list[int]
    client_cpu_seconds: float
    batches: float
    faces: float


def server_of(contender: str, case: Case) -> Server:
    """Start a contender's server."""
    if contender in ALONE:
        options = ("--max-batch", str(case.faces), "--runners", str(ALONE[contender]))
        return Server(case.artifact, case.backend, case.precision, options)
    if contender == CEILING:
        return Server(case.artifact, "null", "fp32")
    return Server(case.artifact, case.backend, case.precision)


def measure(case: Case, clients: int, rounds: int, seconds: float, seed: int) -> dict[str, Any]:
    """Return the rounds of all contenders of one case."""
    with Engine.load(case.artifact, backend=case.backend, precision=case.precision) as engine:
        spec, versions = engine.spec, engine.info.versions
    faces = patches(spec, PREPARED * case.faces, seed).reshape(PREPARED, case.faces, *spec.face_shape)
    requests = [request_of(spec, each, index) for index, each in enumerate(faces)]
    turns: dict[str, list[Turn]] = {name: [] for name in CONTENDERS}
    with contextlib.ExitStack() as stack:
        servers = {}
        for name in CONTENDERS:
            servers[name] = server_of(name, case)
            stack.callback(servers[name].stop)
        for server in servers.values():
            turn(server, requests, clients, WARMUP_SECONDS)
        shuffle = random.Random(seed).shuffle  # noqa: S311 - an order, not a secret
        order = list(servers)
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                turns[name].append(turn(servers[name], requests, clients, seconds))
    return {
        "model": spec.name,
        **case._asdict(),
        "artifact": case.artifact.name,
        "versions": versions,
        "contenders": rows(turns),
    }


def turn(server: Server, requests: Sequence[bytes], clients: int, seconds: float) -> Turn:
    """Load a server for some seconds."""
    samples: list[int] = []
    answers: list[bytes] = []

    def answered(_: int, answer: bytes, took_ns: int) -> None:
        samples.append(took_ns)
        answers.append(answer)

    def until_the_end() -> Iterator[tuple[int, bytes]]:
        index = 0
        while time.perf_counter() < end:
            yield index % len(requests), requests[index % len(requests)]
            index += 1

    load = Load(server.port, clients)
    counts = ("fer_batch_faces_count", "fer_batch_faces_sum")
    before = [server.count(name) for name in counts]
    cpu, begun = time.process_time(), time.perf_counter()
    end = begun + seconds
    load.run(until_the_end(), answered)
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    load.close()
    for answer in answers:
        read_answer(answer)
    batches, faces = (server.count(name) - count for name, count in zip(counts, before, strict=True))
    return Turn(len(samples), took, samples, cpu, batches, faces)


def rows(turns: dict[str, list[Turn]]) -> list[dict[str, Any]]:
    """Return each contender's speed, and batching's and the ceiling's ratio to it over the same rounds."""
    rates = {name: [turn.requests / turn.seconds for turn in each] for name, each in turns.items()}
    return [
        {
            "name": name,
            "requests_per_second": rates[name],
            "latency_ms": to_json(
                statistics.summarize_latency([ns for turn in each for ns in turn.samples_ns])
            ),
            "mean_batch": sum(turn.faces for turn in each) / sum(turn.batches for turn in each),
            "client_cpu_us": 1e6 * sum(t.client_cpu_seconds for t in each) / sum(t.requests for t in each),
            "batched_to_it": to_json(statistics.compare_rounds(rates[BATCHED], rates[name])),
            "ceiling_to_it": to_json(statistics.compare_rounds(rates[CEILING], rates[name])),
        }
        for name, each in turns.items()
    ]


def check_answers(case: Case, clients: int, count: int, seed: int) -> dict[str, Any]:
    """Send requests of one to three faces that differ from all others; hold each answer against the engine's.

    Raises:
        FerError: a request was not served, or the faces are too alike for this network.
    """
    with Engine.load(case.artifact, backend=case.backend, precision=case.precision) as engine:
        spec = engine.spec
        sizes = np.arange(count) % 3 + 1
        starts = np.cumsum(sizes) - sizes
        faces = patches(spec, int(sizes.sum()), seed)
        expected = engine.logits(faces)
    nearest, _ = cKDTree(expected).query(expected, k=2)
    if nearest[:, 1].min() < 2 * NEAR:
        raise FerError("two faces have answers too alike to tell them apart; give another seed")
    answers: list[tuple[int, bytes]] = []
    requests = (
        (index, request_of(spec, faces[start : start + size], index))
        for index, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True))
    )
    server = server_of(BATCHED, case)
    try:
        load = Load(server.port, clients)
        load.run(requests, lambda index, answer, _: answers.append((index, answer)))
        load.close()
        batches = server.count("fer_batch_faces_count")
    finally:
        server.stop()
    right = 0
    for index, answer in answers:
        identity, logits = read_answer(answer)
        own = expected[starts[index] : starts[index] + sizes[index]]
        right += identity == index and logits.shape == own.shape and bool(np.abs(logits - own).max() < NEAR)
    lost = count - len({index for index, _ in answers})
    return {
        **case._asdict(),
        "artifact": case.artifact.name,
        "requests": count,
        "faces": int(sizes.sum()),
        "batches": batches,
        "lost": lost,
        "mixed_up": len(answers) - right,
        "nearest_other_answer": float(nearest[:, 1].min()),
    }


def table(record: dict[str, Any]) -> str:
    """Return the record as a table in Markdown."""
    columns = "model, faces, handling, requests/s, p50 ms, p99 ms, mean batch, batched to it, ceiling to it"
    lines = [
        f"| {columns.replace(', ', ' | ')} |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in record["cases"]:
        what = f"{case['model']} {case['precision']} on {case['backend']}"
        for row in case["contenders"]:
            time_ms = row["latency_ms"]
            batched, ceiling = (
                f"{ratio['median']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]"
                for ratio in (row["batched_to_it"], row["ceiling_to_it"])
            )
            lines.append(
                f"| {what} | {case['faces']} | {row['name']} | {np.median(row['requests_per_second']):,.0f} "
                f"| {time_ms['p50']:.1f} | {time_ms['p99']:.1f} | {row['mean_batch']:.1f} "
                f"| {batched} | {ceiling} |"
            )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "cases",
        nargs="*",
        metavar="ARTIFACT,BACKEND,PRECISION,FACES",
        help="what is served, and how many faces a request has (default: the shipped model, one face)",
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.7, help="of one turn (default: %(default)s)")
    parser.add_argument("--unique", type=int, default=20_000, help="requests whose answers are checked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="F", help="write the measurement here as well")
    return exit_codes.run_command(lambda: run(parser.parse_args()))


def run(options: argparse.Namespace) -> int:
    cases = [Case.parse(text) for text in options.cases] or [Case(shipped_artifact(MODEL))]
    before = environment.load_average()
    answers = check_answers(cases[0], options.clients, options.unique, options.seed)
    measured = [
        measure(case, options.clients, options.rounds, options.seconds, options.seed) for case in cases
    ]
    record = {
        "environment": to_json(environment.describe_machine()),
        "load_average": {"before": before, "after": environment.load_average()},
        "clients": options.clients,
        "cases": measured,
        "answers": answers,
    }
    print(table(record))
    print(f"\n{answers['requests']:,} requests: {answers['lost']} lost, {answers['mixed_up']} mixed up")
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if answers["lost"] or answers["mixed_up"] else 0


if __name__ == "__main__":
    sys.exit(main())
