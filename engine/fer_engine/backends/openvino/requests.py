"""Inference requests of OpenVINO, lent to one thread at a time."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import openvino

from fer_engine.runtime.backend import Faces, Logits


class Requests:
    """A compiled model for batches of some ascending sizes, and a request for each thread that calls.

    If it is `lone` it has one request only, and `take` returns None while that is in use.
    """

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        face_shape: tuple[int, ...],
        sizes: tuple[int, ...],
        lone: bool = False,
    ) -> None:
        self.compiled = compiled
        self.sizes = sizes
        self._lone = lone
        self._face_shape = face_shape
        self._idle = [self._make()] if lone else []  # its pop and append are atomic

    def take(self) -> Request | None:
        """Return an idle request, None where the only one is in use."""
        try:
            return self._idle.pop()
        except IndexError:
            return None if self._lone else self._make()

    def give_back(self, request: Request) -> None:
        self._idle.append(request)

    def _make(self) -> Request:
        return Request(self.compiled.create_infer_request(), self._face_shape, self.sizes)


class Request:
    """An inference request with an input buffer of its own, for one thread at a time."""

    def __init__(
        self, request: openvino.InferRequest, face_shape: tuple[int, ...], sizes: tuple[int, ...]
    ) -> None:
        self._request = request
        self._sizes = sizes
        self._buffer = np.zeros((sizes[-1], *face_shape), np.uint8)
        self._tensors = [openvino.Tensor(self._buffer[:size], shared_memory=True) for size in sizes]

    def infer(self, faces: Faces) -> Logits:
        self._set(faces)
        self._request.infer(share_outputs=True)
        return self._logits().copy()

    def start(self, faces: Faces) -> None:
        self._set(faces)
        self._request.start_async()

    def wait(self) -> Logits:
        """Return the logits of the faces of `start`, in memory that the next ones will overwrite."""
        self._request.wait()
        return self._logits()

    def _set(self, faces: Faces) -> None:
        self._count = len(faces)
        self._buffer[: self._count] = faces
        self._request.set_input_tensor(self._tensors[bisect_left(self._sizes, self._count)])

    def _logits(self) -> Logits:
        logits: Logits = self._request.get_output_tensor().data[: self._count]
        return logits
