"""Work that is done again and again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from fer_engine.backends.cuda.protocol import Cuda


class Recording:
    """Puts the same work into a stream: with one call as a CUDA graph, call by call where there are none.

    The graph is given back when `owned` is closed.
    """

    def __init__(self, cuda: Cuda, stream: int, enqueue: Callable[[], None], owned: ExitStack) -> None:
        self._graphs = cuda.graphs
        self._stream = stream
        self._enqueue = enqueue
        self._owned = owned
        self._graph: int | None = None

    def capture(self) -> None:
        """Record the graph if there is none yet; `start` does it too, where it must not be ready before."""
        if self._graphs is not None and self._graph is None:
            self._graph = self._graphs.capture(self._stream, self._enqueue)
            self._owned.callback(self._graphs.destroy_graph, self._graph)

    def start(self) -> None:
        """Put the work into the stream."""
        self.capture()
        if self._graphs is None or self._graph is None:
            self._enqueue()
        else:
            self._graphs.launch(self._graph, self._stream)
