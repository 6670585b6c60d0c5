"""Measures what --profile asks for: the machine's limits, the model's needs, the runtimes' operators."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx

from fer_bench.contenders.contender import BASELINE, CPU, Contender
from fer_bench.contenders.worker_client import SupportsAsk
from fer_bench.passes.limits import machine, model
from fer_bench.passes.limits.operators import PROFILERS
from fer_bench.record.machine_limits import Limits, Profile
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.schema import from_json
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


def measure_limits(
    artifact: Artifact,
    contenders: Sequence[Contender],
    workers: Mapping[str, SupportsAsk],
    batch: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Limits:
    """Return the limits for the record; calls `advance(1)` after each of `steps(contenders)`.

    The engine's operators are counted at the micro-batch that it has settled on, the baseline's at `batch`.

    Raises:
        FerError: a probe or a contender failed.
    """
    machine_limits = machine.measure_machine(advance)
    graphs = {precision: str(artifact.graph(precision)) for precision in artifact.files}
    needs = model.count_work(onnx.load(graphs["fp32"]))
    operators = {}
    for contender in contenders:
        worker = workers[contender.name]
        request = _request(contender, worker.ask("info"), graphs, batch)
        if request is not None:
            counted = from_json(Profile, worker.ask("operators", **request))
            operators[contender.name] = attribute(counted, onnx.load(request["file"]), needs.layers)
        advance(1)
    return Limits(machine_limits, needs, operators)


def steps(contenders: Sequence[Contender]) -> int:
    return machine.STEPS + len(contenders)


def attribute(counted: Profile, graph: onnx.ModelProto, layers: Mapping[str, int]) -> Profile:
    """Add to each operator its layer of `graph` and its multiply-adds a run: 0 where it has no layer."""
    attribution = Attribution(graph, layers)
    operators = []
    for operator in counted.operators:
        layer = attribution.layer(operator.name, operator.type)
        work = 0 if layer is None else layers[layer] * counted.faces
        operators.append(replace(operator, layer=layer, multiply_adds=work))
    return replace(counted, operators=tuple(operators))


class Attribution:
    """Finds the layer of the model that an operator of a runtime's own graph computes.

    Runtimes fuse, split and rename operators. A layer's name is found again in one of three places: in the
    operator's name, to which the runtime may have added something; in the name of the operator's output
    tensor; or in that of the output of an activation or rounding that was fused into the operator.
    """

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


def _request(
    contender: Contender, info: Mapping[str, Any], graphs: Mapping[str, str], batch: int
) -> dict[str, Any] | None:
    """Return what to ask a contender's process for; None for a runtime whose counters nobody reads here."""
    threads: int | None
    if contender.name == BASELINE:
        backend, precision, threads = BASELINE, "fp32", None
    elif contender.kind == "engine" and contender.device == CPU and info["backend"] in PROFILERS:
        backend, precision, batch, threads = info["backend"], info["precision"], info["micro_batch"], 1
    else:
        return None
    file = graphs[precision]
    return {"batch": batch, "backend": backend, "file": file, "precision": precision, "threads": threads}
