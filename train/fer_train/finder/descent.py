"""One way down for both networks: AdamW, a rate that falls at the end, and an average of the weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

WEIGHT_DECAY = 0.02
BETAS = (0.9, 0.99)
WARMUP = 100  # steps
LARGEST_GRADIENT = 5.0  # norm; a picture full of faces gives a steep one
AVERAGED = 0.9985  # an average over about seven hundred steps; this average is what is kept


class Descent(Generic[Network]):
    """Takes steps down a loss; `average` is the network to keep."""

    def __init__(self, network: Network, learning_rate: float, steps: int, cooling: float) -> None:
        """Prepare for `steps` steps, in the last share `cooling` of which the learning rate falls to zero."""
        # Kernels that are laid out for channels-last are faster on the CPU.
        network = network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.network, self._rate, self._steps, self._cooling = network, learning_rate, steps, cooling
        self.average = copy.deepcopy(network).eval()
        self.done = 0
        kernels = [value for value in network.parameters() if value.ndim > 1]
        others = [value for value in network.parameters() if value.ndim <= 1]
        groups = [{"params": kernels, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS)

    def step(self, loss: Tensor) -> None:
        """Take one step, and let the average follow."""
        left = (1 - self.done / self._steps) / self._cooling
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * min(1, (self.done + 1) / WARMUP) * min(1.0, left)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self._optimizer.step()
        self.done += 1
        self._follow(min(AVERAGED, (1 + self.done) / (20 + self.done)))

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        given = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(given[name], 1 - decay)
            else:
                value.copy_(given[name])
