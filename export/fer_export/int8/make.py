"""Make the INT8 graphs of an export; a report measures what each step of it gains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine.artifact.schema import to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_engine.system import progress
from fer_engine.vision.resize import fit
from fer_export.graph.layers import find_layers
from fer_export.graph.observe import run_graph
from fer_export.int8.calibrate import Calibration, shipped_calibration
from fer_export.int8.equalize import equalize
from fer_export.int8.post_training import calibrate_int8, leave_in_float, quantize, quantize_in_steps
from fer_export.int8.qdq import to_int8
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.int8.range_methods import METHODS, drop_layers
from fer_export.int8.sensitivity import choose_float_layers, measure_sensitivity
from fer_export.source.load import QatSource
from fer_export.verify.comparison import COMPARISONS
from fer_export.verify.samples import Samples, describe_change, name_split
from fer_train.data import Dataset
from fer_train.sampling import stratified

SEED = 0
SIZE = 512
CALIBRATED_SPLIT = "Training"

Graphs = dict[str, onnx.ModelProto]


@dataclass(frozen=True, slots=True)
class Int8Options:
    """How to make INT8.

    `method` chooses the ranges, unless `qat` names a checkpoint that `fer-train --qat` trained for INT8.
    `target` is the agreement with float on the calibration faces until which layers are left in float.
    `report` measures what each step gains and what each layer costs.
    """

    size: int | None = None  # calibration faces; None: SIZE, or all where there are fewer
    method: str = "mse"
    qat: Path | None = None
    target: float | None = None
    report: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ConfigError(f"calibration_size must be at least 1, got {self.size}")
        if self.method not in METHODS:
            raise ConfigError(f"unknown calibration method {self.method!r}; known: {', '.join(METHODS)}")
        if self.target is not None and not 0 < self.target <= 1:
            raise ConfigError(
                f"the agreement for --float-layers must be in (0, 1], got {self.target}; 0.99 asks for 99 %"
            )
        if self.qat is not None and self.target is not None:
            raise ConfigError("give --qat or --float-layers: training for INT8 quantized every layer")


@dataclass(frozen=True, slots=True)
class Int8:
    """Graphs by precision, what they were calibrated with, and how `int8` was made, for the manifest."""

    graphs: Graphs
    calibration: Calibration
    made: dict[str, Any]


def make_int8(
    options: Int8Options,
    spec: ModelSpec,
    graph: onnx.ModelProto,
    dataset: Dataset | None,
    samples: Samples,
    trained: QatSource | None = None,
) -> Int8:
    """Make the INT8 graphs of a float32 `graph`.

    They are calibrated on the Training split of `dataset`, without one by the ranges that ship. A report is
    measured on `samples`. `trained` takes the place of INT8 without training in the graph for GPUs.

    Raises:
        ConfigError: there is no dataset, and what was asked for needs faces.
        FerError: the weights trained for INT8 or the calibration do not fit the graph.
    """
    measured = options.report or options.target is not None
    _check_measurable(measured, spec, dataset)
    made: dict[str, Any] = {"method": options.method}
    if trained is not None:
        made = {"method": "qat", "checkpoint_sha256": trained.checkpoint_sha256, "ranges": trained.ranges}
    if dataset is None:
        calibration = shipped_calibration(spec)
        return Int8(_graphs(options, spec, graph, calibration, trained), calibration, made)
    faces = _faces(dataset, options.size, spec)
    calibration = _calibrate(options, spec, graph, faces, dataset)
    if measured:
        equalized = equalize(graph, calibration.scales)
        ranges = drop_layers(calibration.of(options.method), calibration.float_layers)
        with progress.bar("measure every layer's cost", len(ranges)) as advance:
            sensitivity = measure_sensitivity(equalized, ranges, faces, spec, advance)
    if options.target is not None:
        chosen = choose_float_layers(equalized, ranges, faces, spec, sensitivity, options.target)
        calibration = leave_in_float(graph, calibration, options.method, faces, chosen.names)
        made["float_layers"] = to_json(chosen)
    graphs = _graphs(options, spec, graph, calibration, trained)
    if options.report:
        steps = quantize_in_steps(graph, calibration, options.method, faces, spec)
        steps |= {"the CPU file instead": graphs["int8-cpu"]}
        steps |= {"training instead": graphs["int8"]} if trained else {}
        made |= {"steps": _parities(graph, steps, samples, spec), "sensitivity": to_json(sensitivity)}
    return Int8(graphs, calibration, made)


def _check_measurable(measured: bool, spec: ModelSpec, dataset: Dataset | None) -> None:
    if measured and spec.task == "regression":
        raise ConfigError(
            f"--report and --float-layers count equal classes or boxes, and {spec.name} is a {spec.task}; "
            "leave them out"
        )
    if measured and dataset is None:
        raise ConfigError("--report and --float-layers need faces to measure on: give FER2013 with --data")


def _graphs(
    options: Int8Options,
    spec: ModelSpec,
    graph: onnx.ModelProto,
    calibration: Calibration,
    trained: QatSource | None,
) -> Graphs:
    if trained is None:
        int8 = quantize(graph, calibration, options.method)
    else:
        int8 = to_int8(trained.graph, trained.ranges)
    return {"int8": int8, "int8-cpu": to_int8_cpu(graph, calibration.cpu_ranges, spec)}


def _faces(dataset: Dataset, size: int | None, spec: ModelSpec) -> NDArray[np.uint8]:
    faces, labels = dataset.split(CALIBRATED_SPLIT)
    return fit(faces[stratified(labels, size or min(SIZE, len(labels)), SEED)], spec)


def _calibrate(
    options: Int8Options, spec: ModelSpec, graph: onnx.ModelProto, faces: NDArray[np.uint8], dataset: Dataset
) -> Calibration:
    count = len(faces)
    change = describe_change(dataset.images, spec)
    source = f"{name_split(dataset, CALIBRATED_SPLIT)}, stratified, n={count}{change}"
    with progress.bar(f"calibrate on {count} faces", 5 * count + len(find_layers(graph))) as advance:
        return calibrate_int8(
            graph, faces, method=options.method, source=source, seed=SEED, spec=spec, advance=advance
        )


def _parities(graph: onnx.ModelProto, steps: Graphs, samples: Samples, spec: ModelSpec) -> dict[str, Any]:
    measure = COMPARISONS[spec.task].measure
    reference = run_graph(graph, samples.faces)
    parities = {}
    with progress.bar("measure what each step gains", len(steps)) as advance:
        for step, quantized in steps.items():
            outputs = run_graph(quantized, samples.faces)
            parities[step] = measure(reference, outputs, samples.labels, spec)
            advance(1)
    return to_json(parities)
