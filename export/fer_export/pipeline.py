"""From a checkpoint to an artifact folder: it is written whole, or nothing changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import ConfigError
from fer_engine.system import progress
from fer_export.artifact import check_output, write_artifact
from fer_export.graph.fp16 import to_fp16
from fer_export.int8.make import Int8Options, make_int8
from fer_export.source.load import OnnxFile, UserNetwork, load_qat_source, load_source
from fer_export.source.sanity import check_logits, check_repeats
from fer_export.verify.acceptance import Thresholds, judge_graphs
from fer_export.verify.check import verify_graphs
from fer_export.verify.comparison import COMPARISONS
from fer_export.verify.samples import choose_samples
from fer_export.verify.trial import try_graph
from fer_train.data import Dataset
from fer_train.models import find_model


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
    check_output(options.output)
    with progress.bar("export to ONNX", 1):
        source = load_source(options.model, options.checkpoint, options.mean, options.scale)
        qat = options.int8.qat if options.int8 else None
        trained = load_qat_source(qat, source.spec) if qat else None
    spec, graphs = source.spec, {"fp32": source.graph}
    foreign = not isinstance(options.model, str)
    if foreign:
        try_graph(source.graph, "fp32", spec)
    samples = choose_samples(options.dataset, spec)
    reference = source.logits(samples.faces)
    check_logits(reference, spec)
    check_repeats(source.logits, samples.faces, spec.name)
    if options.fp16 or options.int8 is not None:
        COMPARISONS[spec.task].check(reference, spec, samples.source)
    if options.fp16:
        graphs["fp16"] = to_fp16(source.graph, spec)
        if foreign:
            try_graph(graphs["fp16"], "fp16", spec)
    int8 = None
    if options.int8 is not None:
        int8 = make_int8(options.int8, spec, source.graph, options.dataset, samples, trained)
        graphs |= int8.graphs
    verification = verify_graphs(graphs, spec, samples, reference, options.max_batch)
    gate = judge_graphs(graphs, spec, options.output, samples, reference, options.thresholds)
    refused = {} if options.force else gate.refusals()
    return write_artifact(
        options.output,
        source,
        graphs={precision: graph for precision, graph in graphs.items() if precision not in refused},
        int8=int8,
        verification=verification,
        gate=gate,
        max_batch=options.max_batch,
    )
