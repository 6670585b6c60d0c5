"""The service's metrics, for Prometheus and for the protocol's statistics."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fer_engine.serve.batcher import Batch
from fer_engine.serve.v2_protocol import VERSION

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
REQUEST_SECONDS = (*SECONDS, 10.0, 30.0)  # up to the default time limit of a request
FACES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Triton's statistics that are measured: whole requests, and their parts in order.
STATISTICS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")

REFUSED = "refused"  # the label of requests that were refused before their route was known


class Metrics:
    """Metrics in their own registry; call all methods in the event loop."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter("fer_requests", "Requests answered", ("route", "code"), registry=registry)
        self.durations = Histogram(
            "fer_request_seconds",
            "From the whole request to its answer, with decoding and detection",
            ("route",),
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("fer_requests_in_flight", "Requests being served", registry=registry)
        self.waiting = Gauge("fer_faces_waiting", "Faces that wait for the engine", registry=registry)
        self.connections = Gauge("fer_connections", "Open connections", registry=registry)
        self._faces = Counter("fer_faces", "Faces that went through the engine", registry=registry)
        self._failures = Counter("fer_batches_failed", "Batches that the engine failed on", registry=registry)
        self._sizes = Histogram("fer_batch_faces", "Faces in a batch", buckets=FACES, registry=registry)
        self._delays = Histogram(
            "fer_queue_seconds",
            "From a request's arrival to its first batch",
            buckets=SECONDS,
            registry=registry,
        )
        self._inference = Histogram(
            "fer_inference_seconds", "The engine's time for a batch", buckets=SECONDS, registry=registry
        )
        self._last = 0.0  # the time of the last request, in seconds since the epoch
        self._inferred = 0
        self._spent = {name: _Spent() for name in STATISTICS}

    def observe(self, batch: Batch) -> None:
        """Count a batch of the batcher."""
        if batch.failed:
            self._failures.inc()
            return
        seconds = batch.ended - batch.begun
        self._faces.inc(batch.faces)
        self._sizes.observe(batch.faces)
        self._inference.observe(seconds)
        self._inferred += batch.faces
        self._spent["compute_infer"].add(seconds)
        for arrived in batch.arrivals:
            self._delays.observe(batch.begun - arrived)
            self._spent["queue"].add(batch.begun - arrived)

    def count_refused(self, status: int) -> None:
        """Count a request that was refused before its route was known."""
        self.requests.labels(REFUSED, status).inc()

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of the context to a part of the statistics, unless it fails."""
        begun = time.perf_counter()
        yield
        self._spent[part].add(time.perf_counter() - begun)

    def served(self, seconds: float, *, success: bool) -> None:
        """Count a request for faces or images and the seconds that it took."""
        self._spent["success" if success else "fail"].add(seconds)
        self._last = time.time()

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def statistics(self, model: str) -> dict[str, Any]:
        """Return the statistics of a model as in Triton's statistics extension."""
        stats = {
            "name": model,
            "version": VERSION,
            "last_inference": round(self._last * 1000),
            "inference_count": self._inferred,
            "execution_count": self._spent["compute_infer"].count,
            "inference_stats": {
                name: {"count": spent.count, "ns": round(spent.seconds * 1e9)}
                for name, spent in self._spent.items()
            },
        }
        return {"model_stats": [stats]}


@dataclass(slots=True)
class _Spent:
    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
