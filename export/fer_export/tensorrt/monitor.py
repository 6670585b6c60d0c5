"""TensorRT's progress as one number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Progress:
    """How far a build is, from the phases that it reports; they nest, and several threads may report.

    `report(share)` gets a number that grows from 0 to 1; once it raises `OSError`, since nobody
    listens any more, `step` asks the build to stop.
    """

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._phases: dict[str, _Phase] = {}
        self._reached = 0.0
        self._lock = threading.Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str, step: int) -> bool:
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
            share = max(
                (self._share(root) for root, phase in self._phases.items() if not phase.parent), default=0
            )
            if share <= self._reached:
                return True
            self._reached = share
            try:
                self._report(share)
            except OSError:
                return False
            return True

    def finish(self, name: str) -> None:
        with self._lock:
            self._phases.pop(name, None)

    def _share(self, name: str) -> float:
        """Return the share of a phase: its steps that are done, and its part of the step under way."""
        phase = self._phases[name]
        inside = [self._share(child) for child, other in self._phases.items() if other.parent == name]
        return min(1.0, (phase.done + max(inside, default=0.0)) / phase.steps)


def monitor(trt: Any, progress: Progress) -> Any:
    """Return an IProgressMonitor of `trt` that tells `progress`."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
