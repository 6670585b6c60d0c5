"""A backend that computes nothing: what remains of a measurement with it is the engine's own cost."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fer_engine.errors import BackendError
from fer_engine.runtime.backend import Backend, BackendOptions, Faces, Logits, Model

DEFAULT_MICRO_BATCH = 8


class NullBackend(Backend):
    """Gives zeros for every face; never a default."""

    name = "null"
    versions: ClassVar[dict[str, str]] = {}

    def __init__(self, outputs: int, options: BackendOptions) -> None:
        self.providers = ("none",)
        self.threads = options.cores
        self.workers = options.workers
        self.micro_batches = (options.micro_batch or DEFAULT_MICRO_BATCH,)
        self._outputs = outputs

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> NullBackend:
        if options.device != "cpu":
            raise BackendError(f"backend 'null' runs on device 'cpu' alone, got {options.device!r}")
        return cls(model.spec.outputs, options)

    def infer(self, faces: Faces) -> Logits:
        return np.zeros((len(faces), self._outputs), np.float32)

    def close(self) -> None:
        """Nothing is held."""
