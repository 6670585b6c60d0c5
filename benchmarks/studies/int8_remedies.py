"""What each INT8 remedy buys on FER2013's PublicTest, alone and together, as JSON and a table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from fer_bench.record import environment
from fer_engine.artifact import files
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.schema import to_json
from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.cli import exit_codes
from fer_engine.errors import ConfigError
from fer_export.graph.layers import find_layers
from fer_export.graph.observe import run_graph
from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.bias_correction import correct_biases, measure_bias_correction
from fer_export.int8.calibrate import Calibration, calibrate
from fer_export.int8.equalize import equalize, measure_equalization
from fer_export.int8.post_training import calibrate_int8, leave_in_float, quantize
from fer_export.int8.qdq import quantize_weights, to_int8
from fer_export.int8.range_methods import METHODS
from fer_export.int8.sensitivity import choose_float_layers, measure_sensitivity
from fer_export.verify.parity import measure_parity, relative_rmse
from fer_train import checkpoint
from fer_train.data import load_dataset
from fer_train.sampling import stratified
from studies.int8_table import render

SIZES = (128, 512, 2048)
SIZE, METHOD = 512, "mse"  # the defaults of fer-export
SEEDS = range(5)
TARGETS = (0.985, 0.99)  # agreements to reach by leaving layers in float
SENSITIVITY_FACES = 1024

Faces = NDArray[np.uint8]


class Remedies:
    """The float graph, its faces, and the rows measured so far."""

    def __init__(self, folder: Path, data: Path) -> None:
        network, self.spec = checkpoint.load(folder)
        self.graph = to_onnx(network, self.spec)
        self.dataset = load_dataset(data)
        self.faces, self.labels = self.dataset.split("PublicTest")
        self.training, self.training_labels = self.dataset.split("Training")
        self.reference = run_graph(self.graph, self.faces)
        self.rows: list[dict[str, Any]] = []

    def sample(self, count: int, seed: int) -> Faces:
        return self.training[stratified(self.training_labels, count, seed)]

    def calibrate(self, graph: onnx.ModelProto, faces: Faces, seed: int) -> Calibration:
        return calibrate(graph, faces, source="", seed=seed, spec=self.spec)

    def add(self, part: str, name: str, graph: onnx.ModelProto, **settings: Any) -> None:
        logits = run_graph(graph, self.faces)
        parity = measure_parity(self.reference, logits, self.labels)
        rmse = relative_rmse(self.reference, logits)
        self.rows.append(
            {"part": part, "name": name, **settings, "relative_rmse": rmse, "parity": to_json(parity)}
        )
        print(
            f"{part}: {name} {settings} agreement {parity.agreement:.2%}, relative RMSE {rmse:.4f}",
            file=sys.stderr,
        )


def measure_ranges(work: Remedies) -> None:
    """Every way to choose ranges, by every number of faces."""
    for size in SIZES:
        calibration = work.calibrate(work.graph, work.sample(size, 0), 0)
        for method in METHODS:
            graph = to_int8(work.graph, calibration.of(method))
            work.add("ranges", method, graph, samples=size, seed=0)


def measure_remedies(work: Remedies) -> None:
    """Equalization and bias correction, alone and together, on several samples of faces."""
    for seed in SEEDS:
        faces = work.sample(SIZE, seed)
        equalized = equalize(work.graph, measure_equalization(work.graph, faces))
        for name, graph in (("none", work.graph), ("equalization", equalized)):
            ranges = work.calibrate(graph, faces, seed).of(METHOD)
            both = "bias correction" if name == "none" else f"{name}, bias correction"
            corrected = correct_biases(graph, measure_bias_correction(graph, ranges, faces))
            work.add("remedies", name, to_int8(graph, ranges), samples=SIZE, seed=seed)
            work.add("remedies", both, to_int8(corrected, ranges), samples=SIZE, seed=seed)


def measure_bounds(work: Remedies) -> None:
    """Weights or activations alone in INT8: the most that better rounding of the other could buy."""
    faces = work.sample(SIZE, 0)
    rounded = onnx.ModelProto()
    rounded.CopyFrom(work.graph)
    entries = {entry.name: entry for entry in rounded.graph.initializer}
    for layer in find_layers(rounded):
        values, step = quantize_weights(layer.weights, layer.axis)
        shape = [-1 if axis == layer.axis else 1 for axis in range(values.ndim)]
        name = layer.node.input[1]
        entries[name].CopyFrom(numpy_helper.from_array(values * step.reshape(shape), name))
    work.add("bounds", "int8 weights, float activations", rounded)
    activations = to_int8(work.graph, work.calibrate(work.graph, faces, 0).of(METHOD))
    floats = {layer.name: layer for layer in find_layers(work.graph)}
    for node in activations.graph.node:
        if node.name in floats:
            node.input[1] = f"{node.name}.weight"
            weights = numpy_helper.from_array(floats[node.name].weights, node.input[1])
            activations.graph.initializer.append(weights)
    work.add("bounds", "float weights, int8 activations", activations, samples=SIZE, seed=0)


class _Faces(CalibrationDataReader):
    """Faces in the form that ONNX Runtime's quantizer reads them."""

    def __init__(self, faces: Faces) -> None:
        self._batches = iter(faces[:, None])

    def get_next(self) -> dict[str, Faces] | None:
        face = next(self._batches, None)
        return None if face is None else {INPUT_NAME: face}


def measure_onnxruntime(work: Remedies) -> None:
    """ONNX Runtime's own quantizer, whose pairs stand on every operator's input and output."""
    kinds = {"symmetric int8": (QuantType.QInt8, True), "uint8": (QuantType.QUInt8, False)}
    for kind_name, (kind, symmetric) in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
            onnx.save(work.graph, source)  # the quantizer moves the weights out of a graph in memory
            quantize_static(
                source,
                target,
                _Faces(work.sample(SIZE, 0)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=kind,
                weight_type=QuantType.QInt8,
                extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
            )
            name = f"{kind_name} activations, max"
            work.add("ONNX Runtime's quantizer", name, onnx.load(target), samples=SIZE, seed=0)


def measure_float_layers(work: Remedies) -> dict[str, Any]:
    """The cost of each layer on Training faces, and the layers left in float for a target agreement."""
    faces = work.sample(SIZE, 0)
    calibration = calibrate_int8(work.graph, faces, method=METHOD, source="", seed=0, spec=work.spec)
    work.add("float layers", "none", quantize(work.graph, calibration, METHOD), samples=SIZE, seed=0)
    equalized, ranges = equalize(work.graph, calibration.scales), calibration.of(METHOD)
    others = work.sample(SENSITIVITY_FACES, 1)
    sensitivity = measure_sensitivity(equalized, ranges, others, work.spec)
    choices = []
    for target in TARGETS:
        chosen = choose_float_layers(equalized, ranges, others, work.spec, sensitivity, target)
        partly = leave_in_float(work.graph, calibration, METHOD, faces, chosen.names)
        name = f"for {target:.1%}: {len(chosen.names)} layers, {chosen.share:.1%} of the multiply-adds"
        work.add("float layers", name, quantize(work.graph, partly, METHOD), samples=SIZE, seed=0)
        choices.append(to_json(chosen))
    return {"sensitivity": to_json(sensitivity), "float_layers": choices}


def read_artifact(work: Remedies, folder: Path) -> onnx.ModelProto:
    """The INT8 graph of an artifact that was made from the same float checkpoint."""
    artifact = Artifact.open(folder)
    if artifact.spec.checkpoint_sha256 != work.spec.checkpoint_sha256:
        raise ConfigError(f"{folder} was exported from another checkpoint than the one that is measured")
    return onnx.load_from_string(artifact.read_graph("int8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "checkpoint", nargs="?", type=Path, help="checkpoint folder (default: the shipped mini_xception)"
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013 as fer-train takes it")
    parser.add_argument("--json", type=Path, metavar="F", required=True, help="write the record here")
    parser.add_argument("--markdown", type=Path, metavar="F", help="write the tables here as well")
    parser.add_argument(
        "--artifact",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="measure this artifact's INT8 graph too",
    )
    return exit_codes.run_command(lambda: _measure(parser.parse_args()))


def _measure(options: argparse.Namespace) -> int:
    artifacts = [text.partition("=") for text in options.artifact]
    for name, equals, folder in artifacts:
        if not (name and equals and folder):
            raise ConfigError(f"--artifact takes NAME=DIR, got {name + equals + folder!r}")
    work = Remedies(options.checkpoint or checkpoint.pretrained("mini_xception"), options.data)
    graphs = {name: read_artifact(work, Path(folder)) for name, _, folder in artifacts}
    measure_ranges(work)
    measure_remedies(work)
    measure_bounds(work)
    measure_onnxruntime(work)
    layers = measure_float_layers(work)
    for name, graph in graphs.items():
        work.add("artifacts", name, graph)
    reference = work.rows[0]["parity"]["labelled"]
    record = {
        "environment": to_json(environment.describe_machine()),
        "checkpoint_sha256": work.spec.checkpoint_sha256,
        "dataset": work.dataset.fingerprint,
        "faces": len(work.faces),
        "reference_accuracy": reference["reference_accuracy"],
        "reference_ece": reference["reference_ece"],
        "rows": work.rows,
        **layers,
    }
    files.write_text(options.json, json.dumps(record, indent=1) + "\n")
    if options.markdown:
        files.write_text(options.markdown, render(record))
    print(render(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
