"""Finds the layer of the model that an operator of a runtime's own graph computes.

Runtimes fuse, split and rename operators. A layer's name is found again in one of three places: in the
operator's name, to which the runtime may have added something; in the name of the operator's output tensor;
or in that of the output of an activation or rounding that was fused into the operator.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx

from fer_engine.backends.openvino.layers import LAYERS
from fer_export.verify.executed import FLOAT_OPERATORS, INTEGER_OPERATORS

# OpenVINO's counters tell depthwise convolutions from others, which its executed graph does not.
MULTIPLYING = FLOAT_OPERATORS | INTEGER_OPERATORS | LAYERS | {"GroupConvolution"}

# What runtimes fuse into the layer before, and name the whole after.
FUSED = {"Cast", "Clip", "DequantizeLinear", "HardSwish", "LeakyRelu", "QuantizeLinear", "Relu", "Sigmoid"}

# What ONNX Runtime adds to names: where it moves a cast, numbers a copy, and reorders channels.
CAST_PREFIX = "InsertedPrecisionFreeCast_"
COPY_MARK = "_token_"
REORDERED_SUFFIX = "_nchwc"
# What OpenVINO adds to a layer whose bias was split off.
BIAS_SUFFIX = "/WithoutBiases"


class Attribution:
    """Finds layers by the names in the graph that the runtime was given."""

    def __init__(self, model: onnx.ModelProto, layers: Collection[str]) -> None:
        self._layers = layers
        self._producers = {tensor: node for node in model.graph.node for tensor in node.output}

    def layer(self, name: str, kind: str) -> str | None:
        """Return the layer that an operator of that name and type multiplies for; None for all others."""
        if kind not in MULTIPLYING:
            return None
        name = name.removeprefix(CAST_PREFIX).partition(COPY_MARK)[0]
        name = name.removesuffix(REORDERED_SUFFIX).removesuffix(BIAS_SUFFIX)
        while name not in self._layers:
            node = self._producers.get(name)
            if node is not None and node.name in self._layers:
                return node.name
            if node is None or node.op_type not in FUSED:
                return None
            name = node.input[0]
        return name
