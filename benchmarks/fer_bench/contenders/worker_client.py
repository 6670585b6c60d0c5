"""Starts worker processes and sends them requests; `fer_bench.passes.worker_main` is the other side."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from fer_bench.contenders.contender import Contender
from fer_bench.contenders.subprocess_run import error_tail
from fer_engine.artifact.schema import to_json
from fer_engine.errors import BackendError

COMMAND = (sys.executable, "-m", "fer_bench.passes.worker_main")
CLOSE_SECONDS = 10.0  # for a worker to end by itself, before it is killed


class SupportsAsk(Protocol):
    """Answers requests; the methods of `fer_bench.passes.worker_main.Session` are the requests there are."""

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]: ...


class Worker:
    """A process that holds one contender; `loaded` has the ns that its import and load took.

    `command` starts the process.

    Raises:
        BackendError: the contender cannot be loaded, or fails later.
        ModuleNotFoundError: a library that it needs is not installed.
    """

    def __init__(self, contender: Contender, command: Sequence[str] = COMMAND) -> None:
        self.contender = contender
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )
        try:
            self.loaded = self._exchange(to_json(contender))
        except BaseException:
            self.kill()
            raise

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        return self._exchange({"do": do, **arguments})

    def close(self) -> None:
        """End the process; it ends by itself when its input does."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe, see the constructor
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.__exit__(None, None, None)
        self._errors.close()

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - pipes, see the constructor
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise BackendError(
                f"{self.contender.name} ended in the middle of a measurement: {self._exit_report()}"
            )
        reply: dict[str, Any] = json.loads(line)
        if reply.get("missing"):
            raise ModuleNotFoundError(reply["error"], name=reply["missing"])
        if "error" in reply:
            reason = " ".join(reply["error"].split())  # some runtimes write paragraphs
            raise BackendError(f"{self.contender.name} failed: {reason}")
        return reply

    def _exit_report(self) -> str:
        code = self._process.wait(CLOSE_SECONDS)
        self._errors.seek(0)
        return f"exit code {code}; {error_tail(self._errors.read())}"


@contextlib.contextmanager
def running_workers(
    contenders: Sequence[Contender], faces_path: str, start: Callable[[Contender], Worker] = Worker
) -> Iterator[dict[str, Worker]]:
    """Give one worker for each contender, by name; they end with the block.

    All hold the faces of `faces_path`, a `.npy` file.
    """
    workers: dict[str, Worker] = {}
    try:
        for contender in contenders:
            worker = workers[contender.name] = start(contender)
            worker.ask("read_faces", path=faces_path)
        yield workers
        for worker in workers.values():
            worker.close()
    finally:
        for worker in workers.values():
            worker.kill()
