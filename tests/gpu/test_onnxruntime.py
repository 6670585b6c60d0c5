"""ONNX Runtime on a real GPU: all of it there, or an error."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from fer_engine import Engine
from fer_export.verify.parity import measure_parity
from fer_train import synthetic

FACES = 300
DIFFERENCE = 1e-2  # TF32 keeps eleven bits of a float32 factor
PROVIDERS = {"onnxruntime": "CUDAExecutionProvider", "onnxruntime-tensorrt": "TensorrtExecutionProvider"}


@pytest.mark.usefixtures("cudart")
@pytest.mark.parametrize(("backend", "provider"), PROVIDERS.items())
def test_answers_are_those_of_the_cpu(artifact, backend, provider):
    if provider not in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime without GPU support is installed, not onnxruntime-gpu")
    faces = synthetic.faces(FACES, seed=1)
    with Engine.load(artifact, precision="fp32") as engine:
        expected = engine.logits(faces)
    with Engine.load(artifact, precision="fp32", backend=backend, device="cuda") as engine:
        assert engine.info.providers == (provider,)
        result = measure_parity(expected, np.asarray(engine.logits(faces)))
    assert result.max_abs_difference <= DIFFERENCE * result.logit_range
