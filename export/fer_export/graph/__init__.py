"""The ONNX graph: made from PyTorch, read, run and turned to float16."""
