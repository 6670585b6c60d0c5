"""The record of all networks as a document, from its JSON alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fer_bench.contenders.contender import REFERENCE
from fer_bench.record.record import AnswerParity, LabelledAccuracy
from fer_bench.record.statistics import compare_rounds
from fer_bench.report.table import number, pipes
from studies.models_record import MeasuredNetwork, NetworkSpeed, NetworksRecord

# What the tutorials say that their networks reach, in percent; on which images most do not say.
CLAIMS = {"simple_cnn": 63.23, "vgg16_48": 63.04, "resnet34_48": 62.79, "mini_xception": 65.04}
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
SETTINGS = ("onnxruntime/fp32", "openvino/fp32", "openvino/fp16", "openvino/int8", "openvino/int8-cpu")
FLIPPED = ("onnxruntime/fp32", "openvino/fp32")  # settings that are measured with flip averaging as well
SPEED_PRECISIONS = ("fp32", "int8")  # of the first table; of the second also int8-cpu, whichever is faster
SIZE_COLUMNS = ("network", "parameters", "multiply-adds, M", "top-1 % [95 %]", "FER+ % [95 %]")
COST_COLUMNS = ("network", "ms a face, FP32", "INT8", "faces/s, FP32", "INT8", "MB, FP32", "INT8")
CLAIM_COLUMNS = ("network", "top-1 %", "claim %", "claim")
CALIBRATION_COLUMNS = ("network", "temperature", "ECE, labels", "without", "ECE, votes", "without")
DOUBT_COLUMNS = ("network", "engine", "majority: faces", "changed %", "split: faces", "changed %")
FLIP_COLUMNS = ("network", "top-1 %", "with flip %", "wrong to right", "right to wrong", "p", *FLIPPED)
TRAINING_COLUMNS = ("network", "seed", "epochs", "of", "best", "its top-1 %", "last epoch's %", "hours")

HEAD = """# Networks

Measured on {faces}, {date}, {cpu}, {cores} cores; GPU: not measured. Load average: {before} before,
{after} after. Made by `benchmarks/studies/models.py` from
artifacts of `fer-export --fp16 --int8`; `fer-train --recipe NAME` trains each network.
"""
ACCURACY = """
## Accuracy of the PyTorch network

Top-1 in percent with its 95 % Wilson interval, no test-time augmentation: against FER2013's own labels, and
against FER+, the label that more than half of ten annotators gave, on the faces that have one. The two
agree on 70 % of these faces, so no network can be right by both on the others. PublicTest chose the epoch:
a figure may be some tenths of a point too good.
"""
COST = """
## What it costs

Milliseconds a face at batch 1 and faces a second at batch {batch}, by the fastest engine of FP32 and of
INT8 whose answers pass the gate of `fer-export`; the size of the graph's file.
"""
CLAIM = """
## Claims of tutorials

What the tutorials of these networks state; most do not say on which images.
"""
CALIBRATION = """
## Calibration

Expected calibration error of the PyTorch network with the temperature of its spec and without: against the
labels, and against the share of FER+'s votes for the answer. A temperature is fitted on faces of Training
that were held out of the last stages; 1 is none. Training's labels agree with the majority of votes on 72 %
of its faces and PublicTest's on 70 %, so what is fitted there comes out a little too sure here.
"""
DOUBT = """
## What INT8 changes, and where annotators were split

The share of answers that the best INT8 engine changes: of faces with a majority of votes, and of those
whose annotators were split.
"""
SUBGROUPS = """
## Subgroups

Top-1 in percent of the FP32 graph, against the labels / against the majority of votes. Quarters are of
PublicTest. How far a head is turned is not known; whether the mirror image gets another answer is the
nearest to it. No label says anything about groups of people, so neither does this table.
"""
FLIP = """
## Flip averaging

What `tta="flip"`, the mean of the logits of each face and its mirror image, gains and costs: the faces that
it changes, with McNemar's exact p, and the throughput at batch {batch} as a share of that without it, with
its 95 % interval.
"""
ANSWERS = """
## Accuracy and agreement of each precision

Top-1 in percent, against the labels / against the majority of votes, and in brackets the share of faces
with PyTorch's answer, by the first backend whose answers pass the gate of `fer-export`. INT8 is symmetric;
int8-cpu has uint8 activations.
"""
SPEED = """
## Speed at batch {batch}

Faces a second, the median of {rounds} interleaved rounds, each engine in a process of its own; in brackets
the ratio to mini_xception in the same setting, with its 95 % interval.
"""
TRAINING = """
## Training

The last stage of each recipe as it ran; the logs are in [results/training](results/training). A network
that was best in its last epoch would gain from a longer schedule.
"""


def render(record: NetworksRecord) -> str:
    """Return Markdown made from the record alone."""
    machine, models = record.environment, record.models
    known = {"date": record.date[:10], "cpu": machine.cpu, "cores": machine.usable_cores}
    load = machine.load_average
    loads = {"before": number(load.before, ".2f"), "after": number(load.after, ".2f")}
    return "\n".join(
        [
            HEAD.format(faces=record.faces, **known, **loads),
            ACCURACY,
            *pipes(SIZE_COLUMNS, map(_size, models)),
            COST.format(batch=record.batch),
            *pipes(COST_COLUMNS, map(cost, models)),
            CLAIM,
            *pipes(CLAIM_COLUMNS, _claims(models)),
            CALIBRATION,
            *pipes(CALIBRATION_COLUMNS, _calibrations(models)),
            FLIP.format(batch=record.batch),
            *pipes(FLIP_COLUMNS, _flips(models)),
            ANSWERS,
            *pipes(("network", *PRECISIONS), _precisions(models)),
            DOUBT,
            *pipes(DOUBT_COLUMNS, _doubts(models)),
            SPEED.format(batch=record.batch, rounds=record.rounds),
            *pipes(("network", *SETTINGS), _speeds(models)),
            *_subgroups(models),
            TRAINING,
            *pipes(TRAINING_COLUMNS, _trainings(models)),
            "",
            *_pictures(models),
        ]
    )


def _labelled(answer: AnswerParity) -> LabelledAccuracy:
    """Return the accuracy of answers, which the study measures on faces with labels alone."""
    assert answer.labelled is not None  # noqa: S101 - see above
    return answer.labelled


def share_cell(accuracy: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * accuracy:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _size(model: MeasuredNetwork) -> list[str]:
    labelled, voted = _labelled(model.answers[REFERENCE]), model.answers[REFERENCE].voted
    return [
        f"`{model.model}`",
        f"{model.parameters:,}",
        f"{model.multiply_adds / 1e6:,.2f}",
        share_cell(labelled.accuracy, labelled.interval),
        "not measured" if voted is None else share_cell(voted.accuracy, voted.interval),
    ]


def fastest(speed: Mapping[str, NetworkSpeed], precision: str) -> str | None:
    """Return the contender of a precision with the highest throughput; "int8" takes int8-cpu too."""
    wanted = ("int8", "int8-cpu") if precision == "int8" else (precision,)
    names = [name for name in speed if name.partition("/")[2] in wanted]
    return max(names, key=lambda name: speed[name].median, default=None)


def cost(model: MeasuredNetwork) -> list[str]:
    """Return a network's row of the second table: time at batch 1, throughput, size."""
    cells = [f"`{model.model}`"]
    for speed, form in ((model.single, _milliseconds), (model.speed, _throughput)):
        for precision in SPEED_PRECISIONS:
            name = fastest(speed, precision)
            cells.append("not measured" if name is None else f"{form(speed[name].median)} ({name})")
    sizes = (model.bytes.get(precision) for precision in SPEED_PRECISIONS)
    return cells + ["not exported" if size is None else f"{size / 1e6:.2f}" for size in sizes]


def _milliseconds(rate: float) -> str:
    return f"{1000 / rate:.3f}"


def _throughput(rate: float) -> str:
    return f"{rate:,.0f}"


def _claims(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        claim = CLAIMS.get(model.model)
        if claim is not None:
            accuracy = 100 * _labelled(model.answers[REFERENCE]).accuracy
            reached = "passed" if accuracy >= claim else "not reached"
            yield [f"`{model.model}`", f"{accuracy:.2f}", f"{claim:.2f}", reached]


def _calibrations(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        found = model.calibration
        if found is not None:
            errors = (found.labels, found.labels_before, found.votes, found.votes_before)
            cells = ["not measured" if error is None else f"{error:.4f}" for error in errors]
            yield [f"`{model.model}`", f"{found.temperature:.3f}", *cells]


def _doubts(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        name = fastest(model.speed, "int8")
        voted = model.answers[name].voted if name else None
        if voted is not None:
            cells = []
            for changed, faces in (
                (voted.changed_clear, voted.faces),
                (voted.changed_split, voted.split_faces),
            ):
                cells += [str(faces), f"{100 * changed / faces:.2f}" if faces else "none"]
            yield [f"`{model.model}`", str(name), *cells]


def _subgroups(models: Sequence[MeasuredNetwork]) -> list[str]:
    measured = [model for model in models if "fp32" in model.subgroups]
    if not measured:
        return []
    rows = []
    for parts in zip(*(model.subgroups["fp32"] for model in measured), strict=True):
        shares = [[part.labels, part.majority] for part in parts]
        first = f"{parts[0].property}: {parts[0].part}"
        cells = [
            " / ".join("none" if share is None else f"{100 * share.accuracy:.1f}" for share in pair)
            for pair in shares
        ]
        rows.append([first, *cells])
    return [SUBGROUPS, *pipes(("faces", *(f"`{model.model}`" for model in measured)), rows)]


def _flips(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        answers = [model.answers.get(f"{setting}/flip") for setting in FLIPPED]
        found = next((_labelled(answer) for answer in answers if answer), None)
        if found:
            yield [
                f"`{model.model}`",
                f"{100 * found.reference_accuracy:.2f}",
                f"{100 * found.accuracy:.2f}",
                str(found.wrong_to_right),
                str(found.right_to_wrong),
                f"{found.mcnemar_p:.2g}",
                *(_share(model.speed, setting) or _absence(models, setting) for setting in FLIPPED),
            ]


def _share(speed: Mapping[str, NetworkSpeed], setting: str) -> str | None:
    plain, flipped = speed.get(setting), speed.get(f"{setting}/flip")
    if not plain or not flipped:
        return None
    share = compare_rounds(flipped.images_per_second, plain.images_per_second)
    return f"{share.median:.2f} [{share.low:.2f}, {share.high:.2f}]"


def _absence(models: Sequence[MeasuredNetwork], *settings: str) -> str:
    """Say why there is no figure: where a backend has no engine at all, nothing was refused there."""
    measured = {name.partition("/")[0] for model in models for name in model.speed}
    backends = {setting.partition("/")[0] for setting in settings}
    return "refused" if backends <= measured else "not measured"


def _precisions(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        cells = [f"`{model.model}`"]
        for precision in PRECISIONS:
            passing = [name for name in model.answers if name.partition("/")[2] == precision]
            found = model.answers[passing[0]] if passing else None
            cells.append(
                _answers(found)
                if found
                else _absence(models, *SETTINGS)  # any backend might have kept the answers
            )
        yield cells


def _answers(found: AnswerParity) -> str:
    voted = "" if found.voted is None else f" / {100 * found.voted.accuracy:.2f}"
    return f"{100 * _labelled(found).accuracy:.2f}{voted} ({100 * found.agreement:.2f})"


def _speeds(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        cells = [f"`{model.model}`"]
        for setting in SETTINGS:
            speed = model.speed.get(setting)
            ratio = speed and speed.ratio
            cells.append(
                f"{speed.median:,.0f}"
                + (f" ({ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}])" if ratio else "")
                if speed
                else _absence(models, setting)
            )
        yield cells


def _trainings(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        run = model.training
        if run is not None:
            yield [
                f"`{model.model}`",
                str(run.seed),
                str(run.finished),
                str(run.epochs),
                str(run.best_epoch),
                f"{100 * run.best:.2f}",
                f"{100 * run.last:.2f}",
                f"{run.seconds / 3600:.1f}",
            ]


def _pictures(models: Sequence[MeasuredNetwork]) -> Iterator[str]:
    for model in models:
        if model.training is not None:
            name = model.model
            for picture in model.training.pictures:
                yield f"![{picture} of {name}](results/training/{name}/{picture})"
                yield ""
