"""From a checkpoint to an artifact folder, in one step that happens whole or not at all."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path

from fer_engine.artifact import files
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Gate, Manifest
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError
from fer_engine.runtime.backend import BackendOptions, Logits, Model, at_hand
from fer_engine.selection.speed_probe import Candidate, measure, running
from fer_engine.system import progress
from fer_export import artifact
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.layers import find_layers
from fer_export.int8.make import Graphs, Int8Options, make_int8
from fer_export.source.load import (
    OnnxFile,
    QatSource,
    Source,
    UserNetwork,
    load_qat_source,
    source_from_module,
    source_from_onnx,
    source_from_registry,
)
from fer_export.source.sanity import check_logits, check_repeats
from fer_export.verify import acceptance
from fer_export.verify.acceptance import Thresholds
from fer_export.verify.check import Verification, verify_graph
from fer_export.verify.parity import measure_parity
from fer_export.verify.samples import Samples, dataset_samples, synthetic_samples
from fer_train.data import Dataset
from fer_train.models import find_model

VERIFIED_SPLIT = "PublicTest"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export, in which precisions, and where to.

    `model` is the name of a network of the registry, whose `checkpoint` is a folder or a bare state dict,
    or what the user brings. `mean` and `scale` are how a bare state dict of a registered network was
    trained (`(pixel - mean) / scale`); all else says so itself. `int8` is None where none is wanted.
    `force` keeps a precision that the gate refused.
    """

    model: str | UserNetwork | OnnxFile
    output: Path
    checkpoint: Path | None = None  # default: the one that ships with the package
    fp16: bool = False
    int8: Int8Options | None = None
    dataset: Dataset | None = None
    max_batch: int = 64
    mean: float | None = None
    scale: float | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    force: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.model, str):
            find_model(self.model)
        elif (self.checkpoint, self.mean, self.scale) != (None, None, None):
            raise ConfigError("checkpoint, mean and scale go with a network of the registry alone")
        if self.max_batch < 1:
            raise ConfigError(f"max_batch must be at least 1, got {self.max_batch}")


def export_model(options: ExportOptions) -> Artifact:
    """Export, verify, judge and write an artifact; return it.

    Raises:
        FerError: the checkpoint, the data or the output folder cannot be used, or a graph failed
            its verification; an artifact that was there before is left as it was.
    """
    _check_output(options.output)
    with progress.bar("export to ONNX", 1):
        source = _source(options)
        trained = _trained_int8(options, source.spec)
    spec, float_graph = source.spec, source.graph
    samples = _samples(options, spec)
    graphs = {"fp32": float_graph}
    if options.fp16:
        graphs["fp16"] = to_fp16(float_graph)
    made = artifact.provenance(source, options.max_batch)
    reference = source.logits(samples.faces)
    check_logits(reference, spec)
    check_repeats(source.logits, samples.faces, spec.name)
    calibration = None
    if options.int8 is not None:
        int8 = make_int8(options.int8, spec, float_graph, options.dataset, samples, trained)
        graphs |= int8.graphs
        calibration = int8.calibration
        made = dataclasses.replace(made, calibration=calibration.summary(), int8=int8.made)
    verification = _verify(options, spec, graphs, samples, reference)
    judged = _judge(options, spec, graphs, samples, reference)
    refused = {} if options.force else judged.refusals()
    return artifact.write(
        options.output,
        source,
        graphs={precision: graph for precision, graph in graphs.items() if precision not in refused},
        calibration=calibration,
        made=made,
        verification={precision: result.to_json() for precision, result in verification.items()},
        gate=judged,
    )


def _check_output(output: Path) -> None:
    """Refuse, before anything is computed, a folder that cannot be written or is not an artifact of ours."""
    place = output.absolute()
    nearest = next((folder for folder in place.parents if folder.exists()), place)
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise ConfigError(
            f"cannot write {output}: {nearest} is no folder that you may write to; give another --output"
        )
    files.recover(output)
    if output.exists() and not Artifact.is_at(output) and not _is_empty_folder(output):
        raise ConfigError(
            f"{output} exists and is no artifact folder; it would be replaced: give another --output"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _verify(
    options: ExportOptions, spec: ModelSpec, graphs: Graphs, samples: Samples, reference: Logits
) -> dict[str, Verification]:
    layers = find_layers(graphs["fp32"])
    verification = {}
    with progress.bar(f"verify on {samples.source}", len(graphs)) as advance:
        for precision, graph in graphs.items():
            verification[precision] = verify_graph(
                graph, precision, spec, layers, samples, reference, options.max_batch
            )
            advance(1)
    return verification


def _source(options: ExportOptions) -> Source:
    if isinstance(options.model, UserNetwork):
        return source_from_module(options.model)
    if isinstance(options.model, OnnxFile):
        return source_from_onnx(options.model)
    return source_from_registry(options.model, options.checkpoint, options.mean, options.scale)


def _trained_int8(options: ExportOptions, spec: ModelSpec) -> QatSource | None:
    if options.int8 is None or options.int8.qat is None:
        return None
    return load_qat_source(options.int8.qat, spec)


def _samples(options: ExportOptions, spec: ModelSpec) -> Samples:
    if options.dataset is None:
        return synthetic_samples(spec)
    return dataset_samples(options.dataset, spec, VERIFIED_SPLIT)


def _judge(
    options: ExportOptions, spec: ModelSpec, graphs: Graphs, samples: Samples, reference: Logits
) -> Gate:
    """Measure speed and answers of every precision on every backend at hand, and let the gate decide."""
    unwritten = Artifact(options.output, Manifest(spec, {}))
    models = {
        precision: Model(unwritten, precision, graph.SerializeToString(deterministic=True))
        for precision, graph in graphs.items()
    }
    candidates = [Candidate(precision, backend) for precision in models for backend in at_hand()]
    settings = BackendOptions()
    with progress.bar("measure every precision on every backend", len(candidates) + 1) as advance:
        measured = measure(models, candidates, settings, acceptance.ROUNDS, acceptance.BUDGET)
        advance(1)
        parities = {}
        for candidate in measured.speeds:
            with running(models[candidate.precision], candidate.backend, settings) as run:
                parities[candidate] = measure_parity(reference, run(samples.faces), samples.labels, spec.task)
            advance(1)
    return acceptance.judge(parities, measured, options.thresholds)
