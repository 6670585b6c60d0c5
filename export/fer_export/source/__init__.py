"""What an export starts from: a checkpoint, a module or an ONNX file."""
