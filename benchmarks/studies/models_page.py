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
SIZE_COLUMNS = ("network", "parameters", "multiply-adds, M", "top-1 % [95 %]", "claim %", "claim")
FLIP_COLUMNS = ("network", "top-1 %", "with flip %", "wrong to right", "right to wrong", "p", *FLIPPED)
TRAINING_COLUMNS = ("network", "seed", "epochs", "of", "best", "its top-1 %", "last epoch's %", "hours")

HEAD = """# Networks

Measured on {faces}, {date}, {cpu}, {cores} cores; GPU: not measured. Load average: {before} before,
{after} after. Made by `benchmarks/studies/models.py` from
artifacts of `fer-export --fp16 --int8`; `fer-train --recipe NAME` trains each network.
"""
ACCURACY = """
## Accuracy of the PyTorch network

Top-1 in percent with its 95 % Wilson interval, no test-time augmentation. PublicTest chose the epoch, so a
figure may be some tenths of a point too good. A claim is the tutorial's own; most do not say on which images.
"""
FLIP = """
## Flip averaging

What `tta="flip"`, the mean of the logits of each face and its mirror image, gains and costs: the faces that
it changes, with McNemar's exact p, and the throughput at batch {batch} as a share of that without it, with
its 95 % interval.
"""
ANSWERS = """
## Accuracy and agreement of each precision

Top-1 in percent, and in brackets the share of faces with PyTorch's answer, by the first backend whose answers
pass the gate of `fer-export`. INT8 is symmetric; int8-cpu has uint8 activations.
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
            *pipes(SIZE_COLUMNS, _sizes(models)),
            FLIP.format(batch=record.batch),
            *pipes(FLIP_COLUMNS, _flips(models)),
            ANSWERS,
            *pipes(("network", *PRECISIONS), _precisions(models)),
            SPEED.format(batch=record.batch, rounds=record.rounds),
            *pipes(("network", *SETTINGS), _speeds(models)),
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


def _sizes(models: Sequence[MeasuredNetwork]) -> Iterator[list[str]]:
    for model in models:
        reference = _labelled(model.answers[REFERENCE])
        low, high = (100 * bound for bound in reference.interval)
        claim = CLAIMS.get(model.model)
        reached = "" if claim is None else "passed" if 100 * reference.accuracy >= claim else "not reached"
        yield [
            f"`{model.model}`",
            f"{model.parameters:,}",
            f"{model.multiply_adds / 1e6:,.2f}",
            f"{100 * reference.accuracy:.2f} [{low:.2f}, {high:.2f}]",
            "" if claim is None else f"{claim:.2f}",
            reached,
        ]


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
                f"{100 * _labelled(found).accuracy:.2f} ({100 * found.agreement:.2f})"
                if found
                else _absence(models, *SETTINGS)  # any backend might have kept the answers
            )
        yield cells


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
