"""Ways to break the runtime that tests must notice; each replaces one text in one file by another."""

from __future__ import annotations

from typing import NamedTuple

RUNTIME = "backends/tensorrt/"
CUDA = "backends/cuda/bindings.py"
ARRAY = "backends/cuda/array.py"
EXTERNAL = "backends/cuda/external.py"


class Mutation(NamedTuple):
    """`old` stands exactly once in `file`, a path below the package `fer_engine`."""

    name: str
    file: str
    old: str
    new: str


MUTATIONS = [
    Mutation(
        "results are read without waiting for the stream",
        RUNTIME + "lane.py",
        "        self._synchronize()\n        work, logits = self._pending",
        "        work, logits = self._pending",
    ),
    Mutation(
        "two buckets are swapped",
        RUNTIME + "lane.py",
        "        work = self._buckets[bucket]\n",
        "        work = self._buckets[max(self._buckets) if bucket == min(self._buckets) "
        "else min(self._buckets)]\n",
    ),
    Mutation(
        "the output has no address",
        RUNTIME + "bucket.py",
        '        self._check("set_tensor_address", '
        "context.set_tensor_address(plan.output, self._logits.device))\n",
        "",
    ),
    Mutation(
        "a False from TensorRT is ignored",
        RUNTIME + "bucket.py",
        "        if not succeeded:\n",
        "        if False:\n",
    ),
    Mutation(
        "a status of CUDA is ignored",
        CUDA,
        "        if status != self._runtime.cudaError_t.cudaSuccess:\n",
        "        if False:\n",
    ),
    Mutation(
        "the logits stay on the device",
        RUNTIME + "bucket.py",
        "        self._logits.download(self._stream)\n",
        "",
    ),
    Mutation(
        "the graph is captured before the first run",
        RUNTIME + "bucket.py",
        "        self._enqueue()\n        cuda.synchronize(stream)\n",
        "",
    ),
    Mutation(
        "the profile is not set",
        RUNTIME + "bucket.py",
        "set_optimization_profile_async(profile, self._stream)",
        "set_optimization_profile_async(0, self._stream)",
    ),
    Mutation(
        "memory is given back while work is under way",
        RUNTIME + "bucket.py",
        "        owned.callback(cuda.synchronize, stream)"
        "  # before anything is given back that work may still use\n",
        "",
    ),
    Mutation(
        "device memory is never given back",
        RUNTIME + "bucket.py",
        "        owned.callback(cuda.free, self.device)\n",
        "",
    ),
    Mutation(
        "two threads get the same lane",
        RUNTIME + "lane.py",
        "            lanes = [self._lend(self._idle.get(), borrowed)]\n",
        "            lanes = [self._lend(self._idle.get(), borrowed)]\n"
        "            self._idle.put(lanes[0])\n",
    ),
    Mutation(
        "an open capture is left open",
        CUDA,
        "        except BaseException:\n",
        "        except ZeroDivisionError:\n",
    ),
    Mutation(
        "a run is staged over the one under way",
        RUNTIME + "lane.py",
        "                lane.finish()\n                lane.start(",
        "                lane.start(",
    ),
    Mutation(
        "the last part is cut off instead of padded",
        RUNTIME + "split.py",
        "        while left > 0:\n",
        "        while left >= min(self._costs):\n",
    ),
    Mutation(
        "another GPU's number is forgotten",
        CUDA,
        "        self._call(self._runtime.cudaSetDevice, self.index)\n        try:\n",
        "        try:\n",
    ),
    Mutation(
        "a forked process goes on",
        RUNTIME + "backend.py",
        "        if os.getpid() != self._process:\n            raise",
        "        if False:\n            raise",
    ),
    Mutation(
        "any plan may run code of its own",
        RUNTIME + "backend.py",
        'host_code = bool(selected.options.get("version_compatible"))',
        "host_code = True",
    ),
    Mutation(
        "the producer's stream is not waited for",
        EXTERNAL,
        "        cuda.wait_event(stream, event)\n",
        "",
    ),
    Mutation(
        "a producer that names no stream is taken to work in another",
        EXTERNAL,
        'interface.get("stream") or LEGACY_STREAM',
        'interface.get("stream") or 2',
    ),
    Mutation(
        "results count as there before their copy is in order",
        RUNTIME + "lane.py",
        "            for bucket, part in cut(",
        "            logits.mark_ready(self._stream)\n"
        "            logits.mark_ready = lambda stream: None\n"
        "            for bucket, part in cut(",
    ),
    Mutation(
        "the consumer's stream does not wait for the results",
        ARRAY,
        "                self._cuda.wait_event(LEGACY_STREAM if stream is None else stream, self._ready)\n",
        "                pass\n",
    ),
    Mutation(
        "borrowed faces are let go before they are read",
        RUNTIME + "lane.py",
        "        self._lent = lent\n",
        "",
    ),
    Mutation(
        "results are given back while they are written",
        ARRAY,
        "            owned.callback(cuda.synchronize_event, self._ready)  # what still writes comes first\n",
        "",
    ),
    Mutation(
        "every part takes the first faces on the device",
        RUNTIME + "lane.py",
        "lent.address + part.start * math.prod(self._face_shape)",
        "lent.address",
    ),
    Mutation(
        "memory of another GPU is taken",
        EXTERNAL,
        "    if 0 not in shape and not cuda.owns(address):\n",
        "    if False:\n",
    ),
    Mutation(
        "what is lent is not kept",
        "backends/cuda/dlpack.py",
        "        self.owner = owner\n",
        "",
    ),
]
