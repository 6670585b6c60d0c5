"""ONNX Runtime with other threads than its defaults.

Its defaults are the benchmark's baseline. Graph optimizations are all on by default, and sequential
execution is the advice for a network without many branches. What is left to choose are threads: one,
which spares a small network the barrier after every layer, or one session of one thread that several
callers share, which is safe by its documentation and leaves no core waiting for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime

from fer_bench.contenders.peers.split import in_parts
from fer_bench.contenders.runtime import Runtime
from fer_engine.system.cpu import usable_cores

if TYPE_CHECKING:
    import numpy as np

    from fer_bench.contenders.runtime import Predict, Settings


def load_single(settings: Settings) -> Runtime:
    info = {"version": onnxruntime.__version__, "threads": 1}
    return Runtime(_session(settings), splits=False, info=lambda: info)


def load_concurrent(settings: Settings) -> Runtime:
    threads = settings["threads"] or usable_cores()
    info = {"version": onnxruntime.__version__, "threads": threads}
    return Runtime(in_parts(_session(settings), threads), splits=False, info=lambda: info)


def _session(settings: Settings) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(settings["file"], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict(faces: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(None, {name: faces})[0]
        return logits

    return predict
