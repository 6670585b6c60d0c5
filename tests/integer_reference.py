"""The integer reference: what a Q/DQ graph means, in exact arithmetic.

Each operator is computed for itself. Where a convolution or matrix product reads two dequantized
tensors, the products of their integers are summed exactly, and only the sum is scaled. Everything
real is float64, so that float rounding cannot move a value over the boundary between two integers
but once in a billion. Runtimes compute the same in float32 and may fuse, hence differ a little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.errors import ExportError

Array = NDArray[Any]
Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dequantized:
    """Integers less their zero point, as float64, and the step of one, which broadcasts over them.

    Sums of their products are exact in float64 too, as long as they stay below 2**53: that takes
    more than 10**11 products of eight bits.
    """

    integers: Array
    step: Array

    @property
    def values(self) -> Array:
        return self.integers * self.step


Value = Array | Dequantized


def run(model: onnx.ModelProto, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the logits, float32 [n, classes], of raw faces, uint8 [n, ...].

    Raises:
        ExportError: the graph has an operator that the reference does not know.
    """
    values: dict[str, Value] = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    values[INPUT_NAME] = faces
    for node in model.graph.node:
        if node.op_type not in OPERATORS:
            raise ExportError(
                f"the integer reference has no operator {node.op_type} (node {node.name}); "
                f"it knows {', '.join(sorted(OPERATORS))}"
            )
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] for name in node.input]
        values[node.output[0]] = OPERATORS[node.op_type](attributes, *inputs)
    return _real(values[model.graph.output[0].name]).astype(np.float32)


def _real(value: Value) -> Array:
    """Return a tensor as float64."""
    return value.values if isinstance(value, Dequantized) else value.astype(np.float64)


def quantize(x: Value, step: Array, zero: Array) -> Array:
    """Round half to even, add the zero point and saturate, to the integer type of `zero`."""
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(_real(x) / step) + zero, limits.min, limits.max).astype(zero.dtype)


def dequantize(attributes: Attributes, x: Array, step: Array, zero: Array) -> Dequantized:
    """Take the zero point off, per tensor or per channel along `axis`."""
    if step.ndim:
        shape = [-1 if i == attributes["axis"] else 1 for i in range(x.ndim)]
        step, zero = step.reshape(shape), zero.reshape(shape)
    return Dequantized(x.astype(np.float64) - zero, step.astype(np.float64))


def convolve(attributes: Attributes, x: Value, weights: Value, bias: Value | None = None) -> Array:
    """Convolve [n, c, h, w] with [m, c / group, kh, kw]; integers where both were dequantized."""
    sums, step = _sums(x, weights, lambda a, b: _convolve(attributes, a, b))
    # The weights' step is [m, 1, 1, 1]; that of the sums has its channels on axis 1.
    scaled = sums * np.moveaxis(step, 0, 1) if step.ndim else sums * step
    return scaled if bias is None else scaled + _real(bias).reshape(-1, 1, 1)


def multiply(attributes: Attributes, x: Value, weights: Value, bias: Value | None = None) -> Array:
    """Multiply matrices [n, c] and [c, m], or [m, c] with `transB`; integers as in `convolve`."""
    if attributes.get("alpha", 1) != 1 or attributes.get("beta", 1) != 1 or attributes.get("transA"):
        raise ExportError("the integer reference knows Gemm without alpha, beta and transA alone")
    transposed = bool(attributes.get("transB"))
    sums, step = _sums(x, weights, lambda a, b: a @ (b.T if transposed else b))
    scaled = sums * (step.T if transposed else step)
    return scaled if bias is None else scaled + _real(bias)


def _sums(x: Value, weights: Value, product: Callable[[Array, Array], Array]) -> tuple[Array, Array]:
    if isinstance(x, Dequantized) and isinstance(weights, Dequantized):
        return product(x.integers, weights.integers), x.step * weights.step
    return product(_real(x), _real(weights)), np.float64(1) * np.ones(())


def _convolve(attributes: Attributes, x: Array, weights: Array) -> Array:
    """Sum over patches (im2col), one matrix product an image and group."""
    group = attributes.get("group", 1)
    m, c, kh, kw = weights.shape
    patches = _patches(attributes, x, (kh, kw), 0.0)  # [n, group * c, h', w', kh, kw]
    n, _, h, w, *_ = patches.shape
    columns = patches.reshape(n, group, c, h * w, kh * kw).transpose(0, 1, 3, 2, 4)
    columns = columns.reshape(n, group, h * w, c * kh * kw)
    kernels = weights.reshape(group, m // group, c * kh * kw).transpose(0, 2, 1)
    return (columns @ kernels).transpose(0, 1, 3, 2).reshape(n, m, h, w)


def max_pool(attributes: Attributes, x: Value) -> Array:
    if attributes.get("ceil_mode"):
        raise ExportError("the integer reference knows MaxPool without ceil_mode alone")
    return _patches(attributes, _real(x), tuple(attributes["kernel_shape"]), -np.inf).max((-2, -1))


def _patches(attributes: Attributes, x: Array, kernel: tuple[int, ...], fill: float) -> Array:
    """Return what the kernel sees at each place: [n, c, h', w', kh, kw]."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or set(attributes.get("dilations", ())) - {1}:
        raise ExportError("the integer reference knows explicit pads and no dilations alone")
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    down, across = attributes.get("strides", (1, 1))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    return sliding_window_view(padded, kernel, (2, 3))[:, :, ::down, ::across]


def _mean(attributes: Attributes, x: Value, axes: Array) -> Array:
    return _real(x).mean(tuple(axes), keepdims=bool(attributes.get("keepdims", 1)))


def _cast(attributes: Attributes, x: Array) -> Array:
    if attributes["to"] != onnx.TensorProto.FLOAT:
        raise ExportError("the integer reference knows casts to float32 alone")
    return x.astype(np.float64)


OPERATORS: dict[str, Callable[..., Value]] = {
    "Add": lambda _, a, b: _real(a) + _real(b),
    "Cast": _cast,
    "Conv": convolve,
    "DequantizeLinear": dequantize,
    "Div": lambda _, a, b: _real(a) / _real(b),
    "Gemm": multiply,
    "MatMul": multiply,
    "MaxPool": max_pool,
    "QuantizeLinear": lambda _, x, step, zero: quantize(x, step, zero),
    "ReduceMean": _mean,
    "Relu": lambda _, x: np.maximum(_real(x), 0),
    "Sub": lambda _, a, b: _real(a) - _real(b),
    "Transpose": lambda attributes, x: x.transpose(attributes["perm"]),
    "Unsqueeze": lambda _, x, axes: np.expand_dims(x, tuple(axes)),
}
