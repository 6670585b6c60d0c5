"""Run a float graph on faces, and read any of its tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.errors import ConfigError
from fer_engine.system.telemetry import without_telemetry

with without_telemetry():
    import onnxruntime

# ONNX Runtime's fusion of convolution and sum may fuse away a convolution that is itself an output.
LOSES_OUTPUTS = "ConvAddActivationFusion"
BATCH = 32  # keeps the activations that are looked at together under a few megabytes


def observe_tensors(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    faces: NDArray[np.uint8],
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Run a graph over `faces`, uint8 [n, ...]; give the values of `tensors`, one batch at a time.

    `advance(count)` is called with the faces of each batch when its values have been used.

    Raises:
        ConfigError: there are no faces.
    """
    if len(faces) == 0:
        raise ConfigError(
            "at least one face is needed to run a graph on, got none; give a dataset with --data"
        )
    if not tensors:
        advance(len(faces))
        return
    probe = copy.deepcopy(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in tensors)
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), providers=["CPUExecutionProvider"], disabled_optimizers=[LOSES_OUTPUTS]
    )
    for start in range(0, len(faces), BATCH):
        batch = np.ascontiguousarray(faces[start : start + BATCH])
        yield dict(zip(tensors, session.run(tensors, {INPUT_NAME: batch}), strict=True))
        advance(len(batch))


def run_graph(
    model: onnx.ModelProto, faces: NDArray[np.uint8], advance: Callable[[int], None] = lambda _: None
) -> NDArray[np.float32]:
    """Return the output of a graph on `faces`: logits, float32 [n, classes]."""
    (output,) = (value.name for value in model.graph.output)
    return np.concatenate([batch[output] for batch in observe_tensors(model, [output], faces, advance)])
