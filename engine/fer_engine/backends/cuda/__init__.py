"""The little of CUDA that a runtime needs, behind one protocol; each implementation is a file."""
