"""The INT8 graphs of an export, how they were made, and what each step on the way bought."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fer_engine import progress
from fer_engine.errors import ConfigError
from fer_engine.spec import ModelSpec
from fer_engine.vision.resize import fit
from fer_export.calibrate import Calibration, shipped_calibration
from fer_export.equalize import equalize
from fer_export.graph import to_onnx
from fer_export.layers import find_layers
from fer_export.observe import run
from fer_export.parity import Parity, measure
from fer_export.post_training import calibrate_int8, leave_in_float, measure_steps, quantize
from fer_export.quantize import to_int8
from fer_export.quantize_cpu import to_int8_cpu
from fer_export.ranges import METHODS
from fer_export.samples import change, title
from fer_export.sensitivity import Sensitivity, choose_float_layers, measure_sensitivity
from fer_export.source import Tuned, load_tuned
from fer_export.verify import Samples
from fer_train.data import Dataset
from fer_train.sampling import stratified

SEED = 0
CALIBRATED_SPLIT = "Training"

Graphs = dict[str, onnx.ModelProto]


@dataclass(frozen=True, slots=True)
class Int8Options:
    """How INT8 is made.

    `method` chooses the ranges, unless `qat` names a checkpoint that `fer-train --qat` trained for INT8.
    `target` is the agreement with float on the calibration faces until which layers are left in float.
    `report` measures what each step bought.
    """

    size: int = 512  # calibration faces
    method: str = "mse"
    qat: Path | None = None
    target: float | None = None
    report: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"calibration_size must be at least 1, got {self.size}")
        if self.method not in METHODS:
            raise ConfigError(f"unknown calibration method {self.method!r}; known: {', '.join(METHODS)}")
        if self.target is not None and not 0 < self.target <= 1:
            raise ConfigError(f"the agreement for --float-layers must be in (0, 1], got {self.target}")
        if self.qat is not None and self.target is not None:
            raise ConfigError("give --qat or --float-layers: training for INT8 quantized every layer")


@dataclass(frozen=True, slots=True)
class Int8:
    """Graphs by precision, what they were calibrated with, and what the manifest says of that."""

    graphs: Graphs
    calibration: Calibration
    made: dict[str, Any] = field(default_factory=dict)


def make(
    options: Int8Options, spec: ModelSpec, graph: onnx.ModelProto, dataset: Dataset | None, samples: Samples
) -> Int8:
    """Make the INT8 graphs of a float32 `graph`; `samples` are what a report is measured on.

    Raises:
        ConfigError: there is no dataset, and what was asked for needs faces.
        FerError: the weights trained for INT8 or the calibration do not fit the graph.
    """
    if spec.task != "classification" and (options.report or options.target is not None):
        raise ConfigError(f"--report and --float-layers count the same answers; {spec.name} is a {spec.task}")
    method = options.method
    tuned = None if options.qat is None else load_tuned(options.qat, spec)
    faces = None if dataset is None else _faces(dataset, options.size, spec)
    if faces is None and (options.report or options.target is not None):
        raise ConfigError("--report and --float-layers need faces to measure on: give FER2013 with --data")
    if dataset is None or faces is None:
        calibration = shipped_calibration(spec)
    else:
        source = (
            f"{title(dataset, CALIBRATED_SPLIT)}, stratified, n={len(faces)}{change(dataset.images, spec)}"
        )
        calibration = _calibrate(method, spec, graph, faces, source)
    made: dict[str, Any] = {"method": method}
    sensitivity = None
    if faces is not None and (options.report or options.target is not None):
        sensitivity = _sensitivity(graph, calibration, method, faces)
    if sensitivity is not None and faces is not None and options.target is not None:
        equalized, ranges = equalize(graph, calibration.scales), calibration.of(method)
        chosen = choose_float_layers(equalized, ranges, faces, sensitivity, options.target)
        calibration = leave_in_float(graph, calibration, method, faces, chosen.names)
        made["float_layers"] = chosen.to_json()
    if tuned is None:
        int8 = quantize(graph, calibration, method)
    else:
        int8 = to_int8(to_onnx(tuned.network, tuned.spec), tuned.ranges)
        made = {"method": "qat", "checkpoint_sha256": tuned.spec.checkpoint_sha256, "ranges": tuned.ranges}
    graphs = {"int8": int8, "int8-cpu": to_int8_cpu(graph, calibration.cpu_ranges, spec)}
    if sensitivity is not None and faces is not None and options.report:
        made["steps"] = _steps(graph, calibration, method, faces, samples, spec, tuned, graphs)
        made["sensitivity"] = sensitivity.to_json()
    return Int8(graphs, calibration, {"calibration": calibration.summary(), "int8": made})


def _faces(dataset: Dataset, count: int, spec: ModelSpec) -> NDArray[np.uint8]:
    faces, labels = dataset.split(CALIBRATED_SPLIT)
    return fit(faces[stratified(labels, count, SEED)], spec)


def _calibrate(
    method: str, spec: ModelSpec, graph: onnx.ModelProto, faces: NDArray[np.uint8], source: str
) -> Calibration:
    count = len(faces)
    with progress.bar(f"calibrate on {count} faces", 5 * count + len(find_layers(graph))) as advance:
        return calibrate_int8(
            graph,
            faces,
            method=method,
            source=source,
            seed=SEED,
            spec=spec,
            advance=advance,
        )


def _sensitivity(
    graph: onnx.ModelProto, calibration: Calibration, method: str, faces: NDArray[np.uint8]
) -> Sensitivity:
    equalized, ranges = equalize(graph, calibration.scales), calibration.of(method)
    with progress.bar("measure every layer's cost", len(ranges)) as advance:
        return measure_sensitivity(equalized, ranges, faces, advance)


def _steps(
    graph: onnx.ModelProto,
    calibration: Calibration,
    method: str,
    faces: NDArray[np.uint8],
    samples: Samples,
    spec: ModelSpec,
    tuned: Tuned | None,
    graphs: Graphs,
) -> dict[str, Any]:
    with progress.bar("measure what each step buys", 1):
        steps: dict[str, Parity] = measure_steps(graph, calibration, method, faces, samples, spec)
        reference = run(graph, samples.faces)
        last = {"int8-cpu": "the CPU file instead"} | ({"int8": "training instead"} if tuned else {})
        for precision, step in last.items():
            steps[step] = measure(reference, run(graphs[precision], samples.faces), samples.labels)
    return {step: parity.to_json() for step, parity in steps.items()}
