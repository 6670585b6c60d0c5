"""Export: ONNX, FP16, INT8, verification, artifacts."""
