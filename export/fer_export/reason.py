"""What foreign code says of its failure: PyTorch, ONNX, the runtimes, a user's network."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """Return the first line of an error, or its type's name where it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
