"""A trial of a foreign graph: it runs in a process of its own first, since a runtime may die of it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ExportError, last_lines

BATCHES = (1, 3)
TRIAL_SECONDS = 300  # large networks take tens of them; a load that hangs takes for ever
REFUSED = 3  # exit code of a child that told why
CHILD = f"""
import sys
import numpy as np
from fer_engine.errors import first_line
from fer_engine.system.telemetry import without_telemetry
with without_telemetry():
    import onnxruntime
shape = [int(size) for size in sys.argv[2:]]
try:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for count in {BATCHES}:
        session.run(None, {{name: np.zeros((count, *shape), np.uint8)}})
except Exception as error:
    print(first_line(error), file=sys.stderr)
    sys.exit({REFUSED})
"""


def try_graph(graph: onnx.ModelProto, precision: str, spec: ModelSpec) -> None:
    """Load a graph that takes raw faces into ONNX Runtime in a new process, and run it on batches of 1 and 3.

    Raises:
        ExportError: the process died or did not end, or ONNX Runtime cannot load or run the graph.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.onnx"
        path.write_bytes(graph.SerializeToString())
        command = [sys.executable, "-c", CHILD, str(path), *map(str, spec.face_shape)]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            why = f"does not load or run in {TRIAL_SECONDS} seconds"
        else:
            if ended.returncode == 0:
                return
            told = last_lines(ended.stderr)
            why = f"cannot load it, or run batches of 1 and 3 ({told})"
            if ended.returncode != REFUSED:
                why = f"dies of it with exit code {ended.returncode}" + (f" ({told})" if told else "")
    raise ExportError(
        f"ONNX Runtime was given the {precision} graph of {spec.name} in a process of its own and {why}; "
        + (
            "export the network with a dynamic batch, or with other operators"
            if precision == "fp32"
            else "leave this precision out, or update onnxruntime"
        )
    )
