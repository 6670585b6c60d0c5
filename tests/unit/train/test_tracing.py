from __future__ import annotations

import pytest
import torch
import torch.nn.functional as functional
from torch import nn

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_train.models import MODELS
from fer_train.tracing import layers, traced_layers

SPEC = ModelSpec("mine")


class Calls(nn.Module):
    """A network of the given forward function over some modules."""

    def __init__(self, forward, **modules: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def conv(**options) -> nn.Conv2d:
    return nn.Conv2d(2, 2, 3, padding=1, **options)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_of_the_registry_can_be_traced(name):
    entry = MODELS[name]
    with torch.device("meta"):
        network = entry.build(entry.spec)
    body = traced_layers(network, entry.spec)
    assert layers(body).keys() == layers(network).keys()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.ReLU(), r"calls 0 layers, its modules hold 0"),
        (Calls(lambda m, x: m.c(m.c(x)), c=conv()), "calls 2 layers, its modules hold 1"),
        (Calls(lambda m, x: m.a(x), a=conv(), b=conv()), "calls 1 layers, its modules hold 2"),
        (Calls(lambda m, x: m.c(x) if x.sum() > 0 else x, c=conv()), "cannot be found .*no branch on values"),
        (Calls(lambda m, x: functional.conv2d(m.c(x), m.c.weight), c=conv()), "conv2d multiplies matrices"),
        (Calls(lambda m, x: m.c(x) @ x, c=conv()), "matmul multiplies matrices outside a module"),
        (Calls(lambda m, x: m.c(x).matmul(x), c=conv()), "matmul multiplies matrices outside a module"),
        (nn.Sequential(nn.BatchNorm2d(2), conv()), "batch norm that cannot be folded"),
        (nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(2)), "batch norm that cannot be folded"),
        (nn.Sequential(conv(), nn.BatchNorm2d(2, affine=False)), "batch norm that cannot be folded"),
        (nn.Sequential(conv(padding_mode="reflect")), "pads with 'reflect'"),
        (nn.Sequential(conv(), nn.ConvTranspose2d(2, 2, 3)), r"\(ConvTranspose2d\) has weights"),
    ],
)
def test_what_cannot_be_quantized_is_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        traced_layers(network, SPEC)


def test_a_batch_norm_whose_input_is_read_elsewhere_is_refused():
    network = Calls(lambda m, x: m.n(y := m.c(x)) + y, c=conv(), n=nn.BatchNorm2d(2))
    with pytest.raises(ConfigError, match="n is a batch norm that cannot be folded"):
        traced_layers(network, SPEC)


def test_weights_are_shared_with_the_network():
    network = nn.Sequential(conv())
    assert traced_layers(network, SPEC).get_submodule("0") is network[0]
    assert isinstance(network(torch.zeros(1, 2, 4, 4)), torch.Tensor)
