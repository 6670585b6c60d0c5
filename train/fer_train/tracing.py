"""A network's graph, with its convolutions and linear layers and the batch norms behind them."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as functional
from torch import fx, nn

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError

Layer = nn.Conv2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d

# Products with weights that no module stands for: they would stay in float unseen.
PRODUCTS = {
    *(functional.conv2d, functional.linear, functional.bilinear),
    *(torch.matmul, torch.mm, torch.bmm, torch.einsum, operator.matmul),
    *("matmul", "mm", "bmm"),
}


def layers(network: nn.Module) -> dict[str, Layer]:
    """Return the convolutions and linear layers of a float network by their module paths."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Layer)}


def is_layer(body: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(body.get_submodule(str(node.target)), Layer)


def is_norm(body: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(body.get_submodule(str(node.target)), Norm)


def traced_layers(network: nn.Module, spec: ModelSpec) -> fx.GraphModule:
    """Trace `network`; its modules are shared with the graph.

    Raises:
        ConfigError: it cannot be traced, or has layers that INT8 cannot be learned for.
    """
    try:
        body = fx.symbolic_trace(network)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ConfigError(
            f"the layers of {spec.name} cannot be found ({error}); quantization-aware training needs a "
            "forward() that torch.fx can trace: no branch on values"
        ) from error
    called = [str(node.target) for node in body.graph.nodes if is_layer(body, node)]
    if sorted(called) != sorted(layers(network)) or not called:
        raise ConfigError(
            f"forward() of {spec.name} calls {len(called)} layers, its modules hold {len(layers(network))} "
            "(Conv2d, Linear); quantization-aware training needs at least one, and each called once"
        )
    for node in body.graph.nodes:
        reason = _refusal(body, node)
        if reason:
            raise ConfigError(
                f"{spec.name} cannot be trained for INT8: {node.name} {reason}; use nn.Conv2d and nn.Linear, "
                "and batch norm right behind them"
            )
    return body


def _refusal(body: fx.GraphModule, node: fx.Node) -> str:
    """Return why the node can neither be quantized nor left as it is; empty if it can."""
    if node.target in PRODUCTS:
        return "multiplies matrices outside a module"
    if node.op != "call_module":
        return ""
    module = body.get_submodule(str(node.target))
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        return f"pads with {module.padding_mode!r}, expected 'zeros'"
    if isinstance(module, Norm):
        before = node.args[0]
        behind = isinstance(before, fx.Node) and is_layer(body, before) and len(before.users) == 1
        if not behind or module.weight is None or module.running_mean is None:
            return "is a batch norm that cannot be folded into a layer before it"
    elif not isinstance(module, Layer) and any(weight.ndim > 1 for weight in module.parameters()):
        return f"({type(module).__name__}) has weights that would stay in float"
    return ""
