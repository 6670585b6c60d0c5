"""A process that holds one contender and measures it on request.

It reads JSON objects from standard input, one a line, and answers each with one line. The first holds the
contender's settings, each further one a request. Idle thread pools of one runtime spin and slow another, so
no two contenders share a process. Nothing outside the standard library is imported before the clock runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import cycle
from typing import TYPE_CHECKING, Any, TextIO

from fer_bench.contenders.kinds import KINDS
from fer_bench.contenders.runtime import Runtime, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Faces = NDArray[np.uint8]

SPLIT = 64  # faces a call, for a contender that takes no batch of any size
MEMORY_BATCHES = 8  # of such a contender; its peak does not grow after the second


def take_samples(
    call: Callable[[], object],
    seconds: float,
    calls: int,
    warmup_calls: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[int]:
    """Return the duration of each call in ns, of one call or more.

    No call starts after `seconds`, or after `calls` of them. The `warmup_calls` come first and count for
    neither.
    """
    for _ in range(warmup_calls):
        call()
    samples: list[int] = []
    end = clock() + round(seconds * 1e9)
    while len(samples) < calls:
        began = clock()
        call()
        finished = clock()
        samples.append(finished - began)
        if finished >= end:
            break
    return samples


class Session:
    """One loaded contender; each public method answers the request of its name."""

    def __init__(self, settings: Settings) -> None:
        kind = KINDS[settings["kind"]]
        began = time.perf_counter_ns()
        for module in kind.modules:
            import_module(module)
        imported = time.perf_counter_ns()
        self.runtime: Runtime = kind.load(settings)
        loaded = time.perf_counter_ns()
        self.times = {"import_ns": imported - began, "load_ns": loaded - imported}
        self.faces: Faces

    def info(self) -> dict[str, Any]:
        return self.runtime.info()

    def read_faces(self, path: str) -> dict[str, Any]:
        import numpy as np

        self.faces = np.load(path)
        return {"faces": len(self.faces)}

    def turn(self, batch: int, seconds: float, calls: int, warmup_calls: int) -> dict[str, Any]:
        faces = self._faces_at_least(batch)
        whole = len(faces) // batch * batch  # those left over at the end are not used
        batches = cycle(list(_parts(faces[:whole], batch)))
        predict = self.runtime.predict
        return {"samples_ns": take_samples(lambda: predict(next(batches)), seconds, calls, warmup_calls)}

    def logits(self, path: str) -> dict[str, Any]:
        import numpy as np

        np.save(path, self._predict(self.faces))
        return {"faces": len(self.faces)}

    def loadgen(self, **test: Any) -> dict[str, Any]:
        from fer_bench.passes.loadgen.driver import run_test

        return run_test(self.runtime.predict, self.faces, **test)

    def memory(self, count: int) -> dict[str, Any]:
        """Predict `count` faces and tell the memory; the faces are freed, so this is the last request."""
        if not self.runtime.splits:
            count = min(count, SPLIT * MEMORY_BATCHES)
        faces = self._faces_at_least(count)[:count]
        self._predict(faces)
        del faces, self.faces  # what is kept is the runtime's own
        a_call = count if self.runtime.splits else min(count, SPLIT)
        return {
            "faces": count,
            "faces_a_call": a_call,
            "peak_bytes": peak_bytes(),
            "steady_bytes": resident_bytes(),
        }

    def operators(self, batch: int, **settings: Any) -> dict[str, Any]:
        from fer_bench.passes.limits.operators import profile_operators

        return profile_operators(self._faces_at_least(batch)[:batch], **settings)

    def _predict(self, faces: Faces) -> NDArray[np.float32]:
        import numpy as np

        if self.runtime.splits:
            return self.runtime.predict(faces)
        return np.concatenate([self.runtime.predict(part) for part in _parts(faces, SPLIT)])

    def _faces_at_least(self, count: int) -> Faces:
        """Return the faces, repeated where there are fewer than `count`.

        They are copied in place: a temporary of the harness would count as the contender's peak.
        """
        import numpy as np

        held = len(self.faces)
        if held >= count:
            return self.faces
        repeated = np.empty((count, *self.faces.shape[1:]), np.uint8)
        for start in range(0, count, held):
            part = repeated[start : start + held]
            part[:] = self.faces[: len(part)]
        return repeated


def peak_bytes() -> int | None:
    """Return this process's largest resident memory, or None where the system does not tell.

    Linux is asked for VmHWM, since its `ru_maxrss` also counts the parent before the exec.
    """
    peak = _status_bytes("VmHWM")
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int | None:
    """Return this process's resident memory now, or None where the system does not tell (only Linux does)."""
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int | None:
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would count as import
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))
    except (OSError, StopIteration):
        return None


def _parts(faces: Faces, size: int) -> Iterator[Faces]:
    for start in range(0, len(faces), size):
        yield faces[start : start + size]


def serve(requests: TextIO, replies: TextIO) -> int:
    """Answer every request, of which the first holds the settings; stop at the end or after an error."""
    session: Session | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if session is None:
                session = Session(request)
                reply: dict[str, Any] = session.times
            else:
                reply = getattr(session, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
            traceback.print_exc()
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            from fer_engine.errors import FerError

            text = str(error) if isinstance(error, FerError) else f"{type(error).__name__}: {error}"
            reply = {"error": text, "missing": missing}
        print(json.dumps(reply, default=str), file=replies, flush=True)
        if "error" in reply:
            return 1
    return 0


def main() -> int:
    # Ctrl-C reaches every process of the terminal: the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Runtimes print on standard output as they like: keep the replies on a descriptor apart.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # As fer_engine.system.telemetry does it, which would import numpy before imports are timed.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # then importing it fails
    return serve(sys.stdin, replies)


if __name__ == "__main__":
    sys.exit(main())
