"""fer-bench: measure speed, cold start, memory and parity of an artifact; one JSON record."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_engine import __version__, command
from fer_engine.errors import ConfigError

if TYPE_CHECKING:
    from fer_bench.contender import Contender
    from fer_bench.inputs import Inputs
    from fer_bench.options import BenchOptions

MODEL = "mini_xception"
ARTIFACT = Path("artifacts") / MODEL
RECORD = Path("reports") / "bench.json"
SPLIT = "PublicTest"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    if options.render is not None:
        return command.run(lambda: _render(options))
    return command.run(lambda: _bench(options, argv))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-bench", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--batch", default="64", help="batch sizes, as in 1,64,1024 (default: %(default)s)")
    parser.add_argument(
        "--artifact",
        type=Path,
        help=f"folder made by fer-export (default: {ARTIFACT}, made from the shipped checkpoint if missing)",
    )
    parser.add_argument("--precision", help="as in fp32,int8 (default: all of the artifact)")
    parser.add_argument(
        "--backend", help="of the engine, as in onnxruntime,openvino (default: all installed)"
    )
    parser.add_argument("--threads", type=int, help="of PyTorch and the engine (default: their own choice)")
    parser.add_argument("--data", type=Path, help="FER2013 in any form (default: synthetic faces, no labels)")
    parser.add_argument("--split", help=f"of --data (default: {SPLIT})")
    parser.add_argument("--rounds", type=int, help="turns of each contender")
    parser.add_argument("--seconds", type=float, help="length of one turn")
    parser.add_argument("--cold-starts", type=int, help="new processes of each contender")
    parser.add_argument("--busy", type=int, help="processes that keep a core busy beside (default: none)")
    parser.add_argument("--seed", type=int, help="of the turns' order and the bootstrap")
    parser.add_argument("--json", type=Path, default=RECORD, help="the record (default: %(default)s)")
    parser.add_argument("--markdown", type=Path, help="write the report as Markdown too")
    parser.add_argument("--render", type=Path, metavar="JSON", help="show this record, measure nothing")
    return parser


def _render(options: argparse.Namespace) -> int:
    from fer_bench import record

    _show(record.load(options.render), options.markdown)
    return 0


def _bench(options: argparse.Namespace, argv: Sequence[str] | None) -> int:
    from fer_bench import bench, record, report  # noqa: F401 - what the report needs must be here now

    settings = _settings(options)
    record.check_writable(options.json)
    if options.markdown is not None:
        record.check_writable(options.markdown)
    inputs = _inputs(options)
    folder, contenders = _contenders(options)
    line = shlex.join(["fer-bench", *(sys.argv[1:] if argv is None else argv)])
    measured = bench.measure(folder, contenders, inputs, settings, line)
    record.write(options.json, measured)
    _show(measured, options.markdown)
    print(f"record: {options.json}")
    return 0


def _settings(options: argparse.Namespace) -> BenchOptions:
    from fer_bench.options import BenchOptions

    if options.threads is not None and options.threads < 1:
        raise ConfigError(f"--threads must be at least 1, got {options.threads}")
    names = ("rounds", "seconds", "cold_starts", "busy", "seed")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return BenchOptions(batches=_batches(options.batch), **given)


def _batches(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _list("--batch", text))
    except ValueError:
        raise ConfigError(f"--batch must be whole numbers, as in 1,64,1024, got {text!r}") from None


def _list(option: str, text: str) -> tuple[str, ...]:
    """Return the parts of a comma list, each once."""
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in parts:
        raise ConfigError(f"{option} must be a list without gaps, as in a,b, got {text!r}")
    return parts


def _inputs(options: argparse.Namespace) -> Inputs:
    from fer_bench import inputs

    if options.data is None:
        if options.split is not None:
            raise ConfigError("--split needs --data: synthetic faces have no splits and no labels")
        return inputs.synthetic()
    return inputs.of_dataset(options.data, options.split or SPLIT)


def _contenders(options: argparse.Namespace) -> tuple[Path, list[Contender]]:
    from fer_bench.contender import line_up
    from fer_engine.backend import at_hand
    from fer_engine.manifest import MANIFEST_NAME, Manifest

    folder = options.artifact or ARTIFACT
    if options.artifact is None and not (folder / MANIFEST_NAME).exists():
        _make_artifact(folder)
    manifest = Manifest.load(folder)
    precisions = (
        tuple(manifest.files) if options.precision is None else _list("--precision", options.precision)
    )
    backends = at_hand() if options.backend is None else _list("--backend", options.backend)
    return folder, line_up(folder, manifest, backends, precisions, options.threads)


def _make_artifact(folder: Path) -> None:
    from fer_export.int8 import Int8Options
    from fer_export.pipeline import ExportOptions, export_model

    print(
        f"no artifact at {folder}: exporting the shipped {MODEL} in all precisions",
        file=sys.stderr,
        flush=True,
    )
    export_model(ExportOptions(model=MODEL, output=folder, fp16=True, int8=Int8Options(), force=True))


def _show(measured: dict[str, object], markdown: Path | None) -> None:
    from fer_bench import report
    from fer_engine import atomic

    print(report.render_table(measured))
    if markdown is not None:
        atomic.write_text(markdown, report.render_markdown(measured))
        print(f"report: {markdown}")
