"""Fake quantization: the network that INT8 export gives, in floating point and with gradients.

The scheme is that of the exported file, to the bit in weights and scales: symmetric int8, one scale for
the input of each convolution and linear layer, one for each output channel of its weights after the
batch norm behind it was folded into them, halves rounded to even, biases in float.
Rounding passes gradients straight through (Bengio et al., 2013); the amax of an activation, the
absolute value that 127 stands for, is learned by the gradient of Esser et al., "Learned Step Size
Quantization", 2020, in its logarithm as in Jain et al., "Trained Quantization Thresholds", 2020.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, fx, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.tracing import Layer, Norm, is_layer, is_norm, traced_layers

INT8_MAX = 127
INT8_MIN = -128  # QuantizeLinear saturates activations there; weights keep to -127..127
RANGE_PACE = 60.0  # times the weights' learning rate, whose small steps would hardly move a range


def exact_amax(spec: ModelSpec) -> float | None:
    """Return the amax at which int8's levels are the gray levels, so that nothing is lost.

    There is one where 128 is normalized to 0 by one scale; None elsewhere.
    """
    if set(spec.mean) == {128.0} and len(set(spec.scale)) == 1:
        return INT8_MAX / abs(spec.scale[0])
    return None


def round_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return `weight` as whole numbers -127..127 and the scale of each channel along its first axis.

    A channel of zeros gets a scale of one.
    """
    scale = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / INT8_MAX
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (weight / scale).round().clamp(-INT8_MAX, INT8_MAX), scale


def round_values(values: Tensor, amax: Tensor) -> Tensor:
    """Round `values` to the grid of -128..127 on which 127 stands for `amax`."""
    scale = amax / INT8_MAX
    return (values / scale).round_().clamp_(INT8_MIN, INT8_MAX).mul_(scale)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, weight: Tensor) -> Tensor:
        whole, scale = round_weights(weight)
        return whole * scale

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _Activations(torch.autograd.Function):
    # Plain operations on purpose: on the CPU they are several times faster than torch.fake_quantize_*.
    @staticmethod
    def forward(ctx: Any, values: Tensor, amax: Tensor) -> Tensor:
        rounded = round_values(values, amax)
        ctx.save_for_backward(values, rounded, amax)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        values, rounded, amax = ctx.saved_tensors
        highest = float(amax)
        lowest = highest * INT8_MIN / INT8_MAX
        inside = torch.ops.aten.hardtanh_backward(gradients[0], values, lowest, highest)
        # d rounded / d amax is rounded / amax where clipped, (rounded - values) / amax elsewhere.
        pull = (gradients[0] * rounded).sum() - (inside * values).sum()
        return inside, pull / amax


class Quantizer(nn.Module):
    """Rounds one activation tensor; its amax grows or shrinks by a learned factor, or stays as it is.

    Adam moves every parameter at one rate: `RANGE_PACE` is how much faster the factor's logarithm goes.
    """

    initial: Tensor

    def __init__(self, amax: float, fixed: bool) -> None:
        super().__init__()
        self.register_buffer("initial", torch.tensor(amax))
        self.growth = nn.Parameter(torch.zeros(()), requires_grad=not fixed)

    def amax(self) -> Tensor:
        return self.initial * (RANGE_PACE * self.growth).exp()

    def forward(self, values: Tensor) -> Tensor:
        return _Activations.apply(values, self.amax())  # type: ignore[no-untyped-call]


class FoldedLayer(nn.Module):
    """A layer with the batch norm behind it, whose statistics stay those of the checkpoint."""

    def __init__(self, layer: Layer, norm: Norm | None) -> None:
        super().__init__()
        self.layer = layer
        self.norm = norm

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Return weights and bias with the batch norm in them, operation for operation as exported."""
        weight, bias, norm = self.layer.weight, self.layer.bias, self.norm
        if norm is None:
            return weight, bias
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        # MKL's square root of float32 is a bit off now and then; rounded from float64 it is exact.
        gain = norm.weight / (variance + norm.eps).double().sqrt().float()
        shift = -mean if bias is None else bias - mean
        return weight * gain.view(-1, *[1] * (weight.ndim - 1)), shift * gain + norm.bias

    def forward(self, values: Tensor) -> Tensor:
        weight, bias = self.folded()
        weight = _Weights.apply(weight)  # type: ignore[no-untyped-call]
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return functional.linear(values, weight, bias)
        return functional.conv2d(
            values, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups
        )


class FakeQuantized(nn.Module):
    """A copy of a float network that computes as its INT8 export does.

    `ranges` maps each layer's module path to the amax of its input. Layers that read one tensor
    with one amax share it, and what they learn of it.

    Raises:
        ConfigError: PyTorch cannot trace the network, or has layers that cannot be quantized so.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec, ranges: dict[str, float]) -> None:
        super().__init__()
        self.body = traced_layers(copy.deepcopy(network), spec)
        self._norms: dict[str, str] = {}  # layer path: path of the batch norm folded into it
        self._quantizers: dict[str, str] = {}  # layer path: name of the quantizer at its input
        shared: dict[tuple[fx.Node, float], str] = {}
        for node in [node for node in self.body.graph.nodes if is_layer(self.body, node)]:
            name, source = str(node.target), node.args[0]
            exact = exact_amax(spec) if source.op == "placeholder" else None
            key = (source, exact or ranges[name])
            if key not in shared:
                shared[key] = f"quantizer_{len(shared)}"
                self.body.add_submodule(shared[key], Quantizer(key[1], fixed=exact is not None))
            self._quantizers[name] = shared[key]
            with self.body.graph.inserting_before(node):
                node.args = (self.body.graph.call_module(shared[key], (source,)),)
            self._fold(node)
        self.body.recompile()

    def _fold(self, node: fx.Node) -> None:
        """Let the layer take over the batch norm that reads its output."""
        path = str(node.target)
        layer, norm = self.body.get_submodule(path), None
        reader = next(iter(node.users))
        if is_norm(self.body, reader):
            norm = self.body.get_submodule(str(reader.target))
            self._norms[path] = str(reader.target)
            reader.replace_all_uses_with(node)
            self.body.graph.erase_node(reader)
            self.body.delete_submodule(str(reader.target))
        self.body.set_submodule(path, FoldedLayer(layer, norm))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map what the float network takes to the logits of its INT8 export."""
        return self.body(x)

    @torch.no_grad()
    def ranges(self) -> dict[str, float]:
        """Return the amax of each layer's input, by module path."""
        return {
            layer: float(self.body.get_submodule(name).amax())  # type: ignore[operator]
            for layer, name in self._quantizers.items()
        }

    def float_state(self) -> dict[str, Tensor]:
        """Return the state dict of the float network, with the weights as they are now."""
        state = {}
        for name, value in self.body.state_dict().items():
            if name.split(".")[0] in self._quantizers.values():
                continue
            path, _, leaf = name.rpartition(".")
            layer, _, part = path.rpartition(".")
            if layer in self._quantizers:
                state[f"{layer if part == 'layer' else self._norms[layer]}.{leaf}"] = value
            else:
                state[name] = value
        return state
