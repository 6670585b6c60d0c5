"""TensorRT plans from an artifact's graphs: one code path for TensorRT 10, 11 and TensorRT for RTX."""
