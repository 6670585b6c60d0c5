"""The settings of the engine that are measured: every combination of the values asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from fer_engine.engine import TTA
from fer_engine.errors import ConfigError
from fer_engine.selection.select import AUTO


class Setting(NamedTuple):
    """The settings of one engine; with None it chooses `threads` or `micro_batch` by itself."""

    backend: str
    precision: str
    threads: int | None
    micro_batch: int | None
    tta: str = "none"


@dataclass(frozen=True, slots=True)
class Sweep:
    """The values to measure.

    Without values `backends` and `precisions` mean all that are available, `threads` and `micro_batches`
    the engine's own choice. The backend or precision "auto" leaves the choice to the engine too.
    """

    backends: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    micro_batches: tuple[int, ...] = ()
    tta: tuple[str, ...] = ("none",)

    def __post_init__(self) -> None:
        for option, values in (("threads", self.threads), ("micro-batch", self.micro_batches)):
            for value in values:
                if type(value) is not int or value < 1:
                    raise ConfigError(f"--{option} must be at least 1, got {value!r}")
        for name in self.tta:
            if name not in TTA:
                raise ConfigError(f"--tta must be some of {', '.join(TTA)}, got {name!r}")

    @property
    def automatic(self) -> bool:
        """Whether only the engine's own choice was asked for; "auto" for one of the two means both."""
        return bool(self.backends or self.precisions) and {*self.backends, *self.precisions} == {AUTO}

    @property
    def shared_threads(self) -> int | None:
        """The number of threads of the other contenders: the engine's, unless several are compared in it."""
        return self.threads[0] if len(self.threads) == 1 else None

    @property
    def shared_micro_batch(self) -> int | None:
        """The micro-batch of the null engine, by the same rule as `shared_threads`."""
        return self.micro_batches[0] if len(self.micro_batches) == 1 else None

    @property
    def by_name(self) -> bool:
        """Whether backend and precision were both named, so that an engine that cannot run is an error."""
        return self.automatic or bool(self.backends and self.precisions)

    def settings(self, backends: Iterable[str], precisions: Iterable[str]) -> list[Setting]:
        """Return every combination, with these backends and precisions where none was named."""
        pairs = list(product(self.backends or backends, self.precisions or precisions))
        if self.automatic:
            pairs = [(AUTO, AUTO)]
        elif not self.backends and not self.precisions:
            pairs.append((AUTO, AUTO))
        return [
            Setting(*pair, threads, micro_batch, tta)
            for pair in pairs
            for threads in self.threads or (None,)
            for micro_batch in self.micro_batches or (None,)
            for tta in self.tta
        ]

    def name(self, setting: Setting) -> str:
        """Return the contender's name, as in "engine/openvino/int8/t2/m8/flip".

        Threads and micro-batch are in it where several are compared, test-time augmentation where it is used.
        """
        pair = AUTO if setting[:2] == (AUTO, AUTO) else f"{setting.backend}/{setting.precision}"
        threads = f"/t{setting.threads}" if len(self.threads) > 1 else ""
        micro_batch = f"/m{setting.micro_batch}" if len(self.micro_batches) > 1 else ""
        tta = "" if setting.tta == "none" else f"/{setting.tta}"
        return f"engine/{pair}{threads}{micro_batch}{tta}"
