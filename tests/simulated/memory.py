"""Memory of the simulated device: with bounds, poison, and a memory of what was freed."""

from __future__ import annotations

import itertools

import numpy as np

FRESH = 0xA5
FREED = 0xDE
GUARD = 4096  # bytes that belong to nobody between two allocations


class MisuseError(AssertionError):
    """The runtime did what a real device answers with wrong results, or with the end of the process."""


class Memory:
    """Allocations of one kind; `host` ones lie at their true addresses, so that NumPy can get at them."""

    def __init__(self, name: str, *, host: bool) -> None:
        self.name = name
        self.live: dict[int, np.ndarray] = {}
        self.freed: dict[int, np.ndarray] = {}
        self._host = host
        self._next = 0x7_0000_0000

    def allocate(self, size: int) -> int:
        memory = np.full(size, FRESH, np.uint8)
        address = memory.ctypes.data if self._host else self._next
        self._next += -(-(size + GUARD) // 256) * 256
        self.live[address] = memory
        return address

    def free(self, address: int) -> None:
        if address not in self.live:
            raise MisuseError(f"{self.name} memory {address:#x} is freed twice, or was never allocated")
        memory = self.live.pop(address)
        memory.fill(FREED)
        self.freed[address] = memory  # kept, so that its address is not given out again

    def start_of(self, address: int) -> int | None:
        """Return where the live allocation begins that an address lies in."""
        starts = (start for start, memory in self.live.items() if start <= address < start + len(memory))
        return next(starts, None)

    def at(self, address: int, size: int) -> np.ndarray:
        """Return a view of `size` bytes that lie within one live allocation."""
        for start, memory in self.live.items():
            if start <= address and address + size <= start + len(memory):
                return memory[address - start : address - start + size]
        for start, memory in itertools.chain(self.live.items(), self.freed.items()):
            if start <= address < start + len(memory):
                fault = "beyond its end" if start in self.live else "after it was freed"
                raise MisuseError(f"{self.name} memory {start:#x} is used {fault}")
        raise MisuseError(f"{address:#x} is no {self.name} memory")

    def check(self) -> None:
        """Raise where something wrote into freed memory."""
        for address, memory in self.freed.items():
            if (memory != FREED).any():
                raise MisuseError(f"{self.name} memory {address:#x} was written after it was freed")
