"""A peer: another runtime in one setting, described without importing its library.

A worker measures imports, so this module imports nothing heavy, `dataclasses` included.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Runtime, Settings

GRAPH = "graph"
CHECKPOINT = "checkpoint"


class Conversion(NamedTuple):
    """How a peer gets a model file of its own from the checkpoint.

    `target` is a function, as "module:function", that takes the network, one normalized face and the
    path to write. `modules` are those whose version decides what is written.
    """

    target: str
    file: str
    modules: tuple[str, ...]


class Peer(NamedTuple):
    """One runtime in one setting.

    `target` is the function that loads it, as "module:function". `packages` are the names to install
    with pip, `modules` those that a worker imports before it loads. `source` is the page of the
    documentation that advises `settings`. `reads` is the artifact's graph, its checkpoint, or what a
    conversion makes of the checkpoint.
    """

    target: str
    packages: str
    modules: tuple[str, ...]
    settings: str
    source: str
    reads: str | Conversion = GRAPH
    precision: str = "fp32"

    def missing(self) -> list[str]:
        """Return the modules that are not installed here."""
        needed = self.modules + (self.reads.modules if isinstance(self.reads, Conversion) else ())
        return [module for module in needed if not importlib.util.find_spec(module.partition(".")[0])]

    def load(self, settings: Settings) -> Runtime:
        runtime: Runtime = resolve(self.target)(settings)
        return runtime._replace(
            info=lambda: {"settings": self.settings, "source": self.source} | runtime.info()
        )


def resolve(target: str) -> Any:
    """Import what "module:name" names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
