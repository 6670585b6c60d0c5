"""The artifact's report: its manifest, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

GRAPHS = ("precision", "file", "KiB")
AGREEMENT = {
    "classification": ("agreement with the reference", "accuracy", "largest logit difference"),
    "detection": (
        "boxes that both find",
        "boxes found",
        "largest and mean score difference",
        "largest and mean box error",
    ),
}
AGREEMENT["regression"] = AGREEMENT["classification"]
EXECUTION = ("precision", "multiply-adds declared")
GATE = ("precision", "verdict", "reason")
NAMED = 3  # layers that are listed by name; the manifest has all

Manifest = dict[str, Any]


def render(manifest: Manifest) -> str:
    """Return Markdown made from the parsed `manifest.json` alone."""
    spec, made, gate = manifest["spec"], manifest["made"], manifest["gate"]
    samples = next(iter(manifest["verification"].values()))["samples"]
    origin = (
        f"Exported by fer-engine {made['fer_engine']} on {made['date']} ({made['machine']}, "
        f"Python {made['python']}) from the checkpoint with SHA-256 `{spec['checkpoint_sha256'][:16]}`."
    )
    rule = (
        f"On this machine ({gate['machine']}), batch {gate['batch']}; speeds are those of the best backend "
        "at hand against FP32's best."
    )
    columns = (*GRAPHS, *AGREEMENT[spec["task"]])
    lines = [f"# {spec['name']}", "", origin, "", *_table(columns, _graphs(manifest)), ""]
    lines += [f"Measured on {samples}; the reference is {made['reference']}.", *_int8(made)]
    lines += _steps(made["int8"] or {})
    lines += ["", "## The gate", rule, "", *_table(GATE, _verdicts(gate))]
    lines += ["", "## What runs, as read back from each runtime", "", *_executed(manifest["verification"])]
    return "\n".join(lines) + "\n"


def _graphs(manifest: Manifest) -> Iterator[tuple[str, ...]]:
    for precision, result in manifest["verification"].items():
        file, parity = manifest["files"].get(precision), result["parity"]
        agreement = _boxes(parity) if manifest["spec"]["task"] == "detection" else _answers(parity)
        yield (
            precision,
            "not kept" if file is None else file["path"],
            "" if file is None else format(file["bytes"] / 1024, ".0f"),
            format(parity["agreement"], ".2%"),
            *agreement,
        )


def _answers(parity: Manifest) -> tuple[str, ...]:
    difference = f"{parity['max_abs_difference']:.3g} of {parity['logit_range']:.3g}"
    return _accuracy(parity), difference


def _accuracy(parity: Manifest) -> str:
    labelled = parity.get("labelled")
    return "no labels" if labelled is None else format(labelled["accuracy"], ".2%")


def _boxes(parity: Manifest) -> tuple[str, ...]:
    scores = f"{parity['max_score_difference']:.3g} and {parity['mean_score_difference']:.2g}"
    errors = f"{parity['max_box_error']:.3g} and {parity['mean_box_error']:.2g} pixels"
    found = f"{parity['found']}, the reference {parity['reference_found']}"
    return found, f"{scores} of {parity['score_range']:.3g}", errors


def _int8(made: Manifest) -> Iterator[str]:
    if made["int8"] is None:
        return
    calibration, int8 = made["calibration"], made["int8"]
    ranges = f"{calibration['source']}, seed {calibration['seed']}"
    if int8["method"] == "qat":
        digest = int8["checkpoint_sha256"][:16]
        yield f"int8: weights trained for INT8, SHA-256 `{digest}`; int8-cpu: {ranges}."
    else:
        yield f"int8: ranges by {int8['method']}; int8 and int8-cpu: {ranges}."


def _steps(int8: Manifest) -> Iterator[str]:
    """Give the sections that `fer-export --report` asks for."""
    if "steps" not in int8:
        return
    yield from ("", "## What each step of INT8 gains", "")
    rows = []
    for step, parity in int8["steps"].items():
        rows.append((step, format(parity["agreement"], ".2%"), _accuracy(parity)))
    yield from _table(("step", "agreement with float", "accuracy"), rows)
    yield from ("", "## What each layer costs in INT8 without training", "")
    rows = [
        (
            layer["name"],
            format(layer["multiply_adds"], ","),
            *(format(layer[case]["agreement"], ".2%") for case in ("alone", "left_out")),
            format(layer["alone"]["relative_rmse"], ".4f"),
        )
        for layer in int8["sensitivity"]["layers"]
    ]
    columns = (
        "layer",
        "multiply-adds",
        "agreement, it alone",
        "agreement, all but it",
        "relative RMSE, it alone",
    )
    yield from _table(columns, rows)


def _verdicts(gate: Manifest) -> Iterator[tuple[str, ...]]:
    for precision, verdict in gate["verdicts"].items():
        yield precision, "accepted" if verdict["accepted"] else "refused", verdict["reason"]


def _executed(verification: Manifest) -> Iterator[str]:
    runtimes = list(dict.fromkeys(name for result in verification.values() for name in result["executed"]))
    rows = []
    for precision, result in verification.items():
        executed = (
            _execution(result["executed"][name]) if name in result["executed"] else "cannot run it"
            for name in runtimes
        )
        rows.append((precision, _shares(result["declared"]), *executed))
    yield from _table((*EXECUTION, *(f"executed by {runtime}" for runtime in runtimes)), rows)
    reasons = [reason for result in verification.values() for reason in result.get("unable", {}).values()]
    for reason in dict.fromkeys(reasons):
        yield ""
        yield f"Cannot run here: {reason}."


def _execution(execution: Manifest) -> str:
    text, deviating = _shares(execution["multiply_adds"]), list(execution["deviating"])
    if not deviating:
        return text
    names = ", ".join(deviating[:NAMED]) + (", ..." if len(deviating) > NAMED else "")
    return f"{text}; {len(deviating)} layers not as declared: {names}"


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.1%} {kind}" for kind, share in shares.items())


def _table(columns: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
