"""Networks of npm packages, which answer in a process of Node.js beside the worker.

The faces go through pipes, which is part of the measured time: about a tenth of a millisecond.
"""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_bench.contenders.runtime import Runtime
from fer_engine.errors import BackendError
from studies.other_networks.labels import to_logits

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Settings

WORKER = Path(__file__).with_name("node_worker.js")
SIDE = 48  # pixels of the faces
NODE_MODULES = "node_modules"


def load_human(settings: Settings) -> Runtime:
    return _load("human", settings, ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))


def load_face_api(settings: Settings) -> Runtime:
    labels = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
    return _load("face-api", settings, labels)


def _load(network: str, settings: Settings, labels: tuple[str, ...]) -> Runtime:
    """Start Node.js with the network; `labels` are as the package's source lists them."""
    folder = next(parent for parent in Path(settings["file"]).parents if parent.name == NODE_MODULES)
    command = ["node", str(WORKER), network, str(folder.resolve()), str(SIDE), str(SIDE)]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise BackendError(f"node does not run: {error.strerror}; install Node.js 18 or later") from None
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None  # noqa: S101, PT018 - pipes
    head = stdout.readline()
    if not head:
        raise BackendError(f"{' '.join(command)} ended with code {process.wait()}; see what it wrote above")

    def predict(faces: np.ndarray) -> np.ndarray:
        stdin.write(struct.pack("<I", len(faces)) + faces.tobytes())
        stdin.flush()
        answers = np.frombuffer(stdout.read(4 * len(labels) * len(faces)), np.float32)
        return to_logits(answers.reshape(len(faces), len(labels)), labels)

    info = json.loads(head) | {"labels": list(labels)}
    return Runtime(predict, splits=False, info=lambda: info)
