"""The artifact's report: its manifest, in words."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "precision",
    "file",
    "KiB",
    "agreement with PyTorch",
    "accuracy",
    "largest logit difference",
    "multiply-adds declared",
    "executed by ONNX Runtime on the CPU",
)


def render(manifest: dict[str, Any]) -> str:
    """Return Markdown made from the parsed `manifest.json` alone."""
    spec, made = manifest["spec"], manifest["made"]
    origin = (
        f"Exported by fer-engine {made['fer_engine']} on {made['date']} ({made['machine']}, "
        f"Python {made['python']}) from the checkpoint with SHA-256 `{spec['checkpoint_sha256'][:16]}`."
    )
    head = "| " + " | ".join(COLUMNS) + " |"
    lines = [f"# {spec['name']}", "", origin, "", head, "|---" * len(COLUMNS) + "|"]
    for precision, file in manifest["files"].items():
        result = manifest["verification"][precision]
        parity = result["parity"]
        labelled = parity["labelled"]
        lines.append(
            f"| {precision} | {file['path']} | {file['bytes'] / 1024:.0f} | {parity['agreement']:.2%} "
            f"| {'no labels' if labelled is None else format(labelled['accuracy'], '.2%')} "
            f"| {parity['max_abs_difference']:.3g} of {parity['logit_range']:.3g} "
            f"| {_shares(result['declared'])} | {_shares(result['executed'])} |"
        )
    samples = next(iter(manifest["verification"].values()))["samples"]
    lines += ["", f"Measured on {samples}; the reference is PyTorch in float32."]
    calibration = made.get("calibration")
    if calibration:
        lines.append(
            f"INT8 ranges: method {calibration['method']}, {calibration['source']}, "
            f"seed {calibration['seed']}; symmetric int8, per channel for weights."
        )
    return "\n".join(lines) + "\n"


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.1%} {kind}" for kind, share in shares.items())
