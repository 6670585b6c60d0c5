"""TensorRT and TensorRT for RTX: one runtime for both, on any implementation of `backends.cuda`."""
