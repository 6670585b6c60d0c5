"""A process that measures one limit of the machine and prints the rate at each number of threads.

`python -m fer_bench.passes.limits.probe torch/fp32 1 8` prints {"1": rate, "8": rate} as JSON. A rate is
the best of many repeats, since other work on a machine can only lower it. It is in multiply-adds a second of
a large matrix product, or in bytes a second as STREAM counts them (McCalpin, "Memory Bandwidth and Machine
Balance in Current High Performance Computers", 1995): the bytes of the arrays, without what the caches fetch
before a write.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

SIDE = 512  # of the weights: they fit into the second cache, and a call takes long beside its start
# Of each thread. Matrix units need many rows; with few a call is short enough to run undisturbed.
ROWS = (512, 2048)
SECONDS = 0.25
MEMORY = "memory"

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
CACHE_MULTIPLE = 4  # McCalpin's rule for the size of each array
ARRAYS = 3
MOST_BYTES = 2**29  # for all arrays: more would not fit everywhere, and take seconds to fill


def fastest(
    call: Callable[[], object],
    seconds: float = SECONDS,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> int:
    """Call once untimed, then until `seconds` are spent and at least once; return the shortest time in ns."""
    call()
    shortest = sys.maxsize
    end = clock() + round(seconds * 1e9)
    while True:
        began = clock()
        call()
        finished = clock()
        shortest = min(shortest, finished - began)
        if finished >= end:
            return shortest


def product_rate(make: Callable[[int], Callable[[], object]], threads: int) -> float:
    """Return the multiply-adds a second of one-thread products on so many threads at once.

    `make` maps a number of rows to a call that multiplies them by `SIDE` x `SIDE` weights. Each thread
    counts with its own best repeat: cores share nothing here but power and clock, and a barrier would
    wait for the one that another process disturbs.
    """
    best = 0.0
    for rows in ROWS:
        calls = [make(rows) for _ in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            shortest = list(pool.map(fastest, calls))
        best = max(best, sum(rows * SIDE**2 * 1e9 / taken for taken in shortest))
    return best


def torch_product(kind: str, rows: int) -> Callable[[], object]:
    """Return a call of PyTorch's matrix product in `kind`, a name of its types."""
    import torch

    torch.set_num_threads(1)
    left = torch.rand(rows, SIDE).to(getattr(torch, kind))
    right = torch.rand(SIDE, SIDE).to(left.dtype)
    result = torch.empty(rows, SIDE, dtype=left.dtype)
    return lambda: torch.mm(left, right, out=result)


def onnxruntime_product(operator: str, rows: int) -> Callable[[], object]:
    """Return a call of ONNX Runtime's MatMul (float32) or MatMulInteger (uint8 by int8)."""
    from fer_engine.system.telemetry import without_telemetry

    with without_telemetry():
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        _product(operator).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    kind = np.float32 if operator == "MatMul" else np.uint8
    left = np.random.default_rng(0).integers(0, 100, (rows, SIDE)).astype(kind)
    return lambda: session.run(None, {"left": left})


def _product(operator: str) -> ModelProto:
    """Return a graph of one product by constant weights, so that the runtime may pack them."""
    from onnx import TensorProto, helper, numpy_helper

    in_floats = operator == "MatMul"
    weights = np.random.default_rng(1).integers(-100, 100, (SIDE, SIDE))
    taken, given = (
        (TensorProto.FLOAT, TensorProto.FLOAT) if in_floats else (TensorProto.UINT8, TensorProto.INT32)
    )
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["result"])],
        "product",
        [helper.make_tensor_value_info("left", taken, ["rows", SIDE])],
        [helper.make_tensor_value_info("result", given, ["rows", SIDE])],
        [numpy_helper.from_array(weights.astype(np.float32 if in_floats else np.int8), "right")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def memory_traffic(threads: int) -> float:
    """Return the bytes a second of STREAM's Copy or Add, the quicker, with arrays for each thread."""
    count = array_bytes() // 8 // threads
    first, second, result = ([np.full(count, value) for _ in range(threads)] for value in (1.0, 2.0, 0.0))

    def copy(index: int) -> None:
        np.copyto(result[index], first[index])

    def add(index: int) -> None:
        np.add(first[index], second[index], out=result[index])

    with ThreadPoolExecutor(threads) as pool:
        return max(
            arrays * 8 * count * threads * 1e9 / fastest(lambda: list(pool.map(kernel, range(threads))))  # noqa: B023
            for kernel, arrays in ((copy, 2), (add, 3))
        )


def array_bytes() -> int:
    """Return the bytes of each of `ARRAYS` arrays: four times the last cache, at most `MOST_BYTES` in all."""
    most = MOST_BYTES // ARRAYS
    cache = last_cache_bytes()
    return most if cache is None else min(CACHE_MULTIPLE * cache, most)


def last_cache_bytes() -> int | None:
    """Return the size of the largest cache, or None where the system does not tell."""
    sizes = [path.read_text("ascii").strip() for path in CACHES.glob("index*/size")]
    return max((int(size.removesuffix("K")) * 1024 for size in sizes if size.endswith("K")), default=None)


PRODUCTS: dict[str, Callable[[int], Callable[[], object]]] = {
    "torch/fp32": partial(torch_product, "float32"),
    "onnxruntime/fp32": partial(onnxruntime_product, "MatMul"),
    "torch/fp16": partial(torch_product, "float16"),
    "torch/bf16": partial(torch_product, "bfloat16"),
    "onnxruntime/int8": partial(onnxruntime_product, "MatMulInteger"),
}


def main() -> int:
    name, *counts = sys.argv[1:]
    measure = memory_traffic if name == MEMORY else partial(product_rate, PRODUCTS[name])
    print(json.dumps({count: measure(int(count)) for count in counts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
