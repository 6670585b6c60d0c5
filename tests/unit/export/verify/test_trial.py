"""A foreign graph runs in a process of its own first, and whatever happens to that is told."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ExportError
from fer_export.verify import trial

SPEC = ModelSpec("given", labels=("calm", "tense"), height=4, width=4, mean=(0.0,), scale=(255.0,))


def graph(rows: int) -> onnx.ModelProto:
    """Return a graph of raw faces, [n, 4, 4] to [n, 2], whose reshape gives `rows` rows."""
    constants = {"shape": np.array([rows, 16]), "w": np.ones((16, 2), np.float32)}
    nodes = [
        helper.make_node("Cast", ["faces"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["f", "shape"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "given",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["batch", 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_runs_passes_and_a_fixed_batch_is_told():
    trial.try_graph(graph(-1), "fp32", SPEC)
    with pytest.raises(
        ExportError, match=r"cannot load it, or run batches of 1 and 3 \(.*Reshape.*dynamic batch"
    ):
        trial.try_graph(graph(1), "fp32", SPEC)


@pytest.mark.parametrize(
    ("child", "text"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
            "dies of it with exit code -?[0-9]+;.*leave",
        ),
        ("import time; time.sleep(60)", "does not load or run in 0.5 seconds"),
    ],
)
def test_a_runtime_that_dies_or_hangs_takes_no_other_process_along(monkeypatch, child, text):
    monkeypatch.setattr(trial, "CHILD", child)
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 0.5 if "sleep" in child else 60)
    with pytest.raises(ExportError, match=text):
        trial.try_graph(graph(-1), "fp16", SPEC)
