"""Measures how fast each precision runs on each backend of this machine."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fer_engine.errors import ConfigError, FerError
from fer_engine.runtime.backend import BackendOptions, Faces, Logits, Model, find_backend
from fer_engine.runtime.sharder import Sharder

FACES = 64
ROUNDS = 9
LEAST_ROUNDS = 3
# Seconds after which no further round begins, so that a slow model is not held up by it.
BUDGET = 1.0

Run = Callable[[Faces], Logits]


class Candidate(NamedTuple):
    """A precision and the backend that runs it."""

    precision: str
    backend: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.precision}"


@dataclass(frozen=True, slots=True)
class Measured:
    """Faces per second of every candidate that ran, and why the others did not."""

    speeds: dict[Candidate, float]
    failures: dict[Candidate, str]


def measure_speeds(
    models: Mapping[str, Model],
    candidates: Iterable[Candidate],
    options: BackendOptions,
    rounds: int = ROUNDS,
    budget: float = BUDGET,
) -> Measured:
    """Load the candidates, run `FACES` faces on each in turn, and close them.

    `models` holds the graph of each precision, all of one spec. The faces come in one batch, or one by
    one where `options` ask for latency. A turn is the faces once untimed, which gets the caches back
    from the others, and once timed; a speed comes from the median of the turns. No round begins after
    `budget` seconds, once there were enough of them.
    """
    spec = next(iter(models.values())).spec
    faces = np.random.default_rng(0).integers(0, 256, (FACES, *spec.face_shape), np.uint8)
    runs: dict[Candidate, Run] = {}
    failures: dict[Candidate, str] = {}
    with contextlib.ExitStack() as stack:
        for candidate in candidates:
            run = open_runner(models[candidate.precision], candidate.backend, options)
            started = _start(stack, run, faces)
            if isinstance(started, str):
                failures[candidate] = started
            else:
                runs[candidate] = started
        size = probe_batch(options)
        batches = [faces[start : start + size] for start in range(0, FACES, size)]
        return Measured(_speeds(runs, batches, rounds, budget), failures)


def probe_batch(options: BackendOptions) -> int:
    """Return how many faces a call of the probe has."""
    return 1 if options.mode == "latency" else FACES


def _start(
    stack: contextlib.ExitStack, context: contextlib.AbstractContextManager[Run], faces: Faces
) -> Run | str:
    """Return a warm function that runs batches until `stack` is left, or why there is none."""
    try:
        run = stack.enter_context(context)
        run(faces)  # it settles the micro-batch, and a runtime may compile in it
    except ConfigError:  # an option that is wrong wherever it counts
        raise
    except FerError as error:
        return str(error)
    return run


@contextlib.contextmanager
def open_runner(model: Model, backend: str, options: BackendOptions) -> Iterator[Run]:
    """Yield a function from any number of faces to their logits; close the backend at the end.

    Raises:
        FerError: the backend is not known, not installed, or cannot load the model.
    """
    loaded = find_backend(backend).load(model, options)
    sharder = Sharder(loaded, model.spec.outputs)
    try:
        yield sharder.infer
    finally:
        sharder.stop()
        loaded.close()


def _speeds(
    runs: Mapping[Candidate, Run], batches: Sequence[Faces], rounds: int, budget: float
) -> dict[Candidate, float]:
    seconds: dict[Candidate, list[float]] = {candidate: [] for candidate in runs}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= LEAST_ROUNDS and time.perf_counter() - start > budget:
            break
        for candidate, run in runs.items():
            for faces in batches:
                run(faces)
            begin = time.perf_counter()
            for faces in batches:
                run(faces)
            seconds[candidate].append(time.perf_counter() - begin)
    count = sum(len(faces) for faces in batches)
    return {candidate: count / statistics.median(taken) for candidate, taken in seconds.items()}
