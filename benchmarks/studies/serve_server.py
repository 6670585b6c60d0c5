"""A fer-serve to be measured; for serve_load.py."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from fer_engine.errors import FerError

COMMAND = "import sys; from fer_engine.serve.cli import main; sys.exit(main())"
READY = re.compile(r"http://127\.0\.0\.1:(\d+) is ready")


class Server:
    """A fer-serve in a process of its own."""

    def __init__(self, artifact: Path, backend: str, precision: str, options: Sequence[str] = ()) -> None:
        words = ["--artifact", str(artifact), "--backend", backend, "--precision", precision]
        words += ["--port", "0", "--drain-delay", "0", *options]
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, text=True
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
        """Return a metric of the server's."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
