"""What the protocol tells of a model: its tensors, with and without the axis of the batch."""

from __future__ import annotations

from fer_engine.artifact.spec import ModelSpec
from fer_engine.serve import v2_metadata
from fer_engine.serve.batcher import BatchOptions

COLOUR = ModelSpec("rgb", height=2, width=1, channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)


def test_the_tensors_of_a_model_for_colour_faces():
    metadata = v2_metadata.model_metadata(COLOUR)
    assert metadata["inputs"] == [{"name": "faces", "datatype": "UINT8", "shape": [-1, 2, 1, 3]}]
    assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 7]}]


def test_the_configuration_leaves_out_the_axis_of_the_batch():
    config = v2_metadata.model_config(COLOUR, BatchOptions(max_batch=32, max_delay=0.004), max_faces=100)
    assert config["max_batch_size"] == 100
    assert config["input"] == [{"name": "faces", "data_type": "TYPE_UINT8", "dims": [2, 1, 3]}]
    assert config["output"] == [{"name": "logits", "data_type": "TYPE_FP32", "dims": [7]}]
    assert config["dynamic_batching"] == {
        "preferred_batch_size": [32],
        "max_queue_delay_microseconds": 4000,
    }
