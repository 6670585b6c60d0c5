"""The lean runtime of fer-engine: numpy and, on demand, one inference library."""

__version__ = "0.1.0"
