"""The measured parts of the model cards and of README, from the record of all networks alone.

They stand between two marker lines, which say so; what is written by hand stands outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fer_bench.contenders.contender import REFERENCE
from fer_bench.record.record import AnswerParity
from fer_bench.report.table import pipes
from fer_engine.artifact import files
from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError
from fer_train.checkpoint import PRETRAINED
from studies.models_page import cost, fastest, share_cell
from studies.models_record import MeasuredNetwork, NetworksRecord
from studies.subgroups import Share, Subgroup

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- measured: begin. benchmarks/studies/models.py --cards writes this part -->"
END = "<!-- measured: end -->"
NETWORK_COLUMNS = ("network", "FER+ %", "labels %", "ms, FP32", "INT8", "MB, FP32", "INT8")


def write(record: NetworksRecord) -> None:
    """Write the parts into the cards of the networks that ship, and into README.

    Raises:
        ConfigError: a card or README has no place for it.
        OSError: a file cannot be read or written.
    """
    shipped = [network for network in record.models if (PRETRAINED / network.model).is_dir()]
    texts = {PRETRAINED / network.model / "MODEL_CARD.md": card(network, record) for network in shipped}
    texts[README] = family(record)
    pages = {path: put(path.read_text("utf-8"), text, path) for path, text in texts.items()}
    for path, page in pages.items():
        files.write_text(path, page)


def put(page: str, text: str, path: Path, begin: str = BEGIN) -> str:
    """Return a page with `text` between its markers, the lines `begin` and `END`.

    Raises:
        ConfigError: it has no markers.
    """
    before, marker, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not marker or not end:
        raise ConfigError(f"{path} has no place for the figures: expected the lines {begin!r} and {END!r}")
    return f"{before}{begin}\n{text}\n{END}{after}"


def family(record: NetworksRecord) -> str:
    """Return the table of the networks that ship, for README."""
    rows = []
    for network in record.models:
        answer = network.answers[REFERENCE]
        if (PRETRAINED / network.model).is_dir() and answer.labelled is not None:
            voted = "not measured" if answer.voted is None else f"{100 * answer.voted.accuracy:.1f}"
            name, *times, _, _, float_size, int8_size = cost(network)
            # The engine that is the fastest stands in docs/models.md.
            figures = [
                voted,
                f"{100 * answer.labelled.accuracy:.1f}",
                *(time.partition(" (")[0] for time in times),
            ]
            rows.append([name, *figures, float_size, int8_size])
    return "\n".join(pipes(NETWORK_COLUMNS, rows))


def card(network: MeasuredNetwork, record: NetworksRecord) -> str:
    """Return the measured part of a network's card."""
    int8 = fastest(network.speed, "int8")
    lines = [
        f"Weights: SHA-256 `{network.checkpoint_sha256[:16]}`. Measured on {record.faces},",
        f"{record.date[:10]}, {record.environment.cpu}, no test-time augmentation; intervals are of 95 %.",
        "",
        *pipes(("", "PyTorch", f"INT8 ({int8})"), _measures(network, network.answers.get(str(int8)))),
    ]
    if network.unseen is not None:
        unseen, clear = network.unseen.labels, network.unseen.majority
        lines += [
            "",
            f"On the {unseen.faces:,} faces that Training does not hold too, pixel for pixel: "
            f"{_share(unseen)} against the labels"
            + (f", {_share(clear)} against the majority of votes." if clear else "."),
        ]
    lines += ["", "Recall by expression:", "", *pipes(RECALL_COLUMNS, _recalls(network.answers[REFERENCE]))]
    if "fp32" in network.subgroups:
        lines += ["", *SUBGROUP_NOTE, "", *pipes(SUBGROUP_COLUMNS, map(_subgroup, network.subgroups["fp32"]))]
    return "\n".join(lines)


RECALL_COLUMNS = ("expression", "labels: faces", "recall %", "FER+: faces", "recall %")
SUBGROUP_COLUMNS = ("faces", "against labels", "against the majority")
SUBGROUP_NOTE = (
    "On parts of PublicTest. Quarters are of its faces; whether the mirror image gets another answer stands",
    "for how far a head is turned, which is not known. No label says anything about groups of people.",
)


def _measures(network: MeasuredNetwork, int8: AnswerParity | None) -> Iterator[list[str]]:
    both = (network.answers[REFERENCE], int8)
    yield ["top-1 against FER2013's labels", *map(_labelled, both)]
    yield ["top-1 against the FER+ majority", *map(_voted, both)]
    yield ["ECE against the labels", *map(_label_error, both)]
    yield ["ECE against the votes", *map(_vote_error, both)]
    found = network.calibration
    if found is not None:
        votes = "" if found.votes_before is None else f", votes {found.votes_before:.4f}"
        yield [
            f"ECE without the temperature {found.temperature:.3f}",
            f"labels {found.labels_before:.4f}{votes}",
            "",
        ]
    yield ["same answer as PyTorch", "", "" if int8 is None else f"{100 * int8.agreement:.2f}%"]


def _labelled(answer: AnswerParity | None) -> str:
    found = None if answer is None else answer.labelled
    return "" if found is None else f"**{100 * found.accuracy:.2f}%** {_interval(found.interval)}"


def _voted(answer: AnswerParity | None) -> str:
    found = None if answer is None else answer.voted
    return (
        ""
        if found is None
        else f"**{100 * found.accuracy:.2f}%** {_interval(found.interval)}, n={found.faces:,}"
    )


def _label_error(answer: AnswerParity | None) -> str:
    return "" if answer is None or answer.labelled is None else f"{answer.labelled.ece:.4f}"


def _vote_error(answer: AnswerParity | None) -> str:
    return "" if answer is None or answer.voted is None else f"{answer.voted.ece:.4f}"


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"[{100 * low:.2f}, {100 * high:.2f}]"


def _share(share: Share) -> str:
    return f"{100 * share.accuracy:.2f}% {_interval(share.interval)}"


def _recalls(answer: AnswerParity) -> Iterator[list[str]]:
    """Give each class's faces and recall, from the confusion counts against labels and votes."""
    sides = [answer.labelled and answer.labelled.confusion, answer.voted and answer.voted.confusion]
    for index, name in enumerate(EXPRESSIONS):
        cells = []
        for counts in sides:
            row = counts[index] if counts else ()
            cells += [f"{sum(row):,}", f"{100 * row[index] / sum(row):.1f}"] if sum(row) else ["none", ""]
        yield [name, *cells]


def _subgroup(part: Subgroup) -> list[str]:
    shares = [
        "none" if share is None else f"{share_cell(share.accuracy, share.interval)}, n={share.faces:,}"
        for share in (part.labels, part.majority)
    ]
    return [f"{part.property}: {part.part}", *shares]
