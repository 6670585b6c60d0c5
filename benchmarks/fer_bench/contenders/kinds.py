"""How each kind of contender is loaded and called, inside a worker.

A worker measures imports, so this module imports nothing outside the standard library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fer_bench.contenders.peers.registry import PEERS
from fer_bench.contenders.runtime import Runtime, Settings


class Kind(NamedTuple):
    """`modules` are imported before `load` is called, so that the import is timed by itself."""

    modules: tuple[str, ...]
    load: Callable[[Settings], Runtime]


def load_pytorch(settings: Settings) -> Runtime:
    """PyTorch in eager mode from the checkpoint that travels with the artifact: the reference."""
    from pathlib import Path

    import torch

    from fer_train import checkpoint, loop

    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    network, spec = checkpoint.load(Path(settings["file"]))
    info = {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "checkpoint_sha256": spec.checkpoint_sha256,
    }
    return Runtime(lambda faces: loop.logits(network, spec, faces), splits=False, info=lambda: info)


def load_onnxruntime(settings: Settings) -> Runtime:
    """A bare session with default options, as most people use it: the baseline of the ratios."""
    import onnxruntime

    session = onnxruntime.InferenceSession(settings["file"], providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    info = {"version": onnxruntime.__version__, "threads": "default"}
    return Runtime(lambda faces: session.run(None, {name: faces})[0], splits=False, info=lambda: info)


def load_engine(settings: Settings) -> Runtime:
    """fer_engine itself; its backend "null" computes nothing and shows the harness's own cost."""
    from pathlib import Path

    from fer_engine import Engine

    engine = Engine.load(
        Path(settings["artifact"]),
        precision=settings["precision"],
        device=settings["device"],
        backend=settings["backend"],
        threads=settings["threads"],
        micro_batch=settings["micro_batch"],
        tta=settings["tta"],
    )
    import dataclasses

    return Runtime(engine.logits, splits=True, info=lambda: dataclasses.asdict(engine.info))


KINDS = {
    "pytorch": Kind(("torch", "fer_train.checkpoint", "fer_train.loop"), load_pytorch),
    "onnxruntime": Kind(("numpy", "onnxruntime"), load_onnxruntime),
    "engine": Kind(("fer_engine",), load_engine),
    **{name: Kind(peer.modules, peer.load) for name, peer in PEERS.items()},
}
