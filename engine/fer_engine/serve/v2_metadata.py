"""What the Open Inference Protocol tells of the server and its model, as JSON.

Configuration, index and statistics are Triton's extensions:
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from typing import Any

from fer_engine._version import __version__
from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.v2_protocol import VERSION

PLATFORM = "onnx_fer-engine"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "statistics")


def server_metadata() -> dict[str, Any]:
    """Return the answer to GET /v2."""
    return {"name": "fer-engine", "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(spec: ModelSpec) -> dict[str, Any]:
    """Return the answer to GET /v2/models/NAME; -1 is an axis of any length."""
    return {
        "name": spec.name,
        "versions": [VERSION],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT_NAME, "datatype": "UINT8", "shape": [-1, *spec.face_shape]}],
        "outputs": [{"name": spec.output, "datatype": "FP32", "shape": [-1, spec.outputs]}],
    }


def model_config(spec: ModelSpec, batching: BatchOptions, max_faces: int) -> dict[str, Any]:
    """Return the answer to GET /v2/models/NAME/config: fields of Triton's ModelConfig.

    Its shapes leave the axis of the batch out. Its `max_batch_size` is the most faces of a request, since the
    service splits what is more than a batch of its own.
    """
    return {
        "name": spec.name,
        "platform": PLATFORM,
        "backend": "fer-engine",
        "max_batch_size": max_faces,
        "input": [{"name": INPUT_NAME, "data_type": "TYPE_UINT8", "dims": list(spec.face_shape)}],
        "output": [{"name": spec.output, "data_type": "TYPE_FP32", "dims": [spec.outputs]}],
        "dynamic_batching": {
            "preferred_batch_size": [batching.max_batch],
            "max_queue_delay_microseconds": round(batching.max_delay * 1e6),
        },
    }


def repository_index(spec: ModelSpec) -> list[dict[str, str]]:
    """Return the answer to POST /v2/repository/index: the one model, which is always loaded."""
    return [{"name": spec.name, "version": VERSION, "state": "READY", "reason": ""}]
