"""fer-bench: measure speed, cold start, memory and parity of an artifact; one JSON record."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_bench import arguments
from fer_engine._version import __version__
from fer_engine.cli import exit_codes

if TYPE_CHECKING:
    from fer_bench.compare.baseline import Baseline

RECORD = Path("reports") / "bench.json"
EXIT_REGRESSION = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    if options.render is not None:
        return exit_codes.run(lambda: _render(options, argv))
    return exit_codes.run(lambda: _bench(options, argv))


def _given(argv: Sequence[str] | None) -> list[str]:
    """Return the names of the options on the command line, those with their default's value too."""
    parser, absent = _parser(), object()
    parser.set_defaults(**dict.fromkeys(vars(parser.parse_args([])), absent))
    return [name for name, value in vars(parser.parse_args(argv)).items() if value is not absent]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-bench", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    for add_group in (
        _add_contenders,
        _add_faces,
        _add_method,
        _add_loadgen,
        _add_results,
        _add_gate,
    ):
        add_group(parser)
    return parser


def _add_contenders(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what runs")
    group.add_argument(
        "--artifact",
        type=Path,
        help=f"folder made by fer-export (default: {arguments.ARTIFACT}, made from the shipped checkpoint "
        "if missing)",
    )
    group.add_argument(
        "--precision", help="of the engine, as in fp32,int8,auto (default: all of the artifact)"
    )
    group.add_argument(
        "--backend", help="of the engine, as in onnxruntime,openvino,auto (default: all installed, and auto)"
    )
    group.add_argument(
        "--device", help="of the engine: cpu, cuda or cuda:1; the others stay on the CPU (default: cpu)"
    )
    group.add_argument(
        "--threads",
        help="of the engine, as in 1,2 (default: its own choice); a single value holds for PyTorch too",
    )
    group.add_argument(
        "--peers",
        nargs="?",
        const="",
        metavar="NAMES",
        help="other runtimes on the same network, as in openvino,ncnn (without names: all installed)",
    )
    group.add_argument("--micro-batch", help="of the engine, as in 4,8,32 (default: its own choice)")
    group.add_argument(
        "--tta",
        help="test-time augmentation of the engine, as in none,flip: flip averages each face with its mirror "
        "image (default: none)",
    )


def _add_faces(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("faces")
    group.add_argument(
        "--data", type=Path, help="FER2013 in any form, or your own (default: synthetic faces, no labels)"
    )
    group.add_argument("--labels", help="of --data, where they are not FER2013's, as in calm,tense")
    group.add_argument("--images", type=Path, help="folder of the images that the csv of --data names")
    group.add_argument("--split", help=f"of --data (default: {arguments.SPLIT})")


def _add_method(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to measure")
    group.add_argument("--batch", default="64", help="batch sizes, as in 1,64,1024 (default: %(default)s)")
    group.add_argument("--rounds", type=int, help="turns of each contender")
    group.add_argument("--seconds", type=float, help="length of one turn")
    group.add_argument("--cold-starts", type=int, help="new processes of each contender")
    group.add_argument(
        "--profile", action="store_true", help="measure the machine's limits and each operator's time too"
    )
    group.add_argument("--busy", type=int, help="processes that keep a core busy beside (default: none)")
    group.add_argument("--seed", type=int, help="of the turns' order")


def _add_loadgen(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scenarios of MLPerf LoadGen, after the quick rounds")
    group.add_argument("--scenario", help="as in single-stream,multi-stream,server,offline (default: none)")
    group.add_argument(
        "--loadgen-mode",
        help="performance, accuracy or both, as in performance,accuracy (default: performance)",
    )
    group.add_argument(
        "--target-qps",
        type=float,
        help="arrival rate of server (default: searched), expected rate of offline (default: estimated)",
    )
    group.add_argument("--latency-bound", help="of server, as in 10ms (default: 10ms)")
    group.add_argument("--scenario-seconds", type=float, help="least length of a run (default: 10)")
    group.add_argument("--min-queries", type=int, help="of a run; of offline, samples (default: by scenario)")
    group.add_argument("--samples-per-query", type=int, help="of multi-stream (default: 8)")


def _add_results(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument("--json", type=Path, default=RECORD, help="the record (default: %(default)s)")
    group.add_argument("--markdown", type=Path, help="write the report as Markdown too")
    group.add_argument("--html", type=Path, help="write the report as one HTML page too")
    group.add_argument("--png", type=Path, metavar="FOLDER", help="write the figures of the page there too")
    group.add_argument(
        "--faces",
        action="store_true",
        help="show the faces of --data whose answers change in the page (default: synthetic faces alone)",
    )
    group.add_argument("--render", type=Path, metavar="JSON", help="show this record, measure nothing")


def _add_gate(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "regression gate", f"exit code {EXIT_REGRESSION} where the engine became worse than a baseline"
    )
    group.add_argument("--baseline", type=Path, metavar="JSON", help="an earlier record")
    group.add_argument(
        "--max-slowdown", metavar="SHARE", help="of the ratios to plain onnxruntime, as in 10%%"
    )
    group.add_argument(
        "--max-accuracy-drop", type=float, metavar="POINTS", help="of accuracy and agreement, as in 0.3"
    )


def _render(options: argparse.Namespace, argv: Sequence[str] | None) -> int:
    from fer_bench.record import record

    arguments.check_render(_given(argv))
    arguments.check_page(options)
    earlier = arguments.baseline(options)
    measured = record.load(options.render)
    if earlier is not None:
        earlier.check(measured)
    _show(measured, options)
    return _verdict(earlier, measured)


def _bench(options: argparse.Namespace, argv: Sequence[str] | None) -> int:
    from fer_bench import bench
    from fer_bench.contenders.contender import line_up
    from fer_bench.record import record

    _import_renderers(options)
    arguments.check_page(options)
    earlier = arguments.baseline(options)
    settings = arguments.bench_options(options)
    for path in (options.json, options.markdown, options.html, options.png and options.png / "figure.png"):
        if path is not None:
            record.check_writable(path)
    inputs = arguments.faces(options, arguments.spec(options))
    artifact = arguments.artifact(options)
    contenders, skipped = line_up(artifact, settings.sweep, settings.device)
    if options.peers is not None:
        from fer_bench.contenders.peers.line_up import line_up as line_up_peers

        named = arguments.names("--peers", options.peers or None)
        found, absent = line_up_peers(artifact, named, settings.sweep.shared_threads)
        contenders, skipped = [*contenders, *found], [*skipped, *absent]
    if earlier is not None:
        earlier.check(bench.subject(artifact, contenders, inputs, settings))
    line = shlex.join(["fer-bench", *(sys.argv[1:] if argv is None else argv)])
    measured = bench.measure(artifact, contenders, skipped, inputs, settings, line)
    record.write(options.json, measured)
    _show(measured, options)
    print(f"record: {options.json}")
    return _verdict(earlier, measured)


def _verdict(earlier: Baseline | None, measured: dict[str, Any]) -> int:
    """Print what became worse than the baseline, if there is one; return the exit code."""
    if earlier is None:
        return 0
    from fer_bench.compare import baseline
    from fer_bench.report import render

    found = earlier.regressions(measured)
    note = earlier.other_machine(measured)
    if note is not None:
        print(note)
    if not found:
        print(f"no regression against {earlier.name}: {earlier.compared(measured)}")
        return 0
    print(render.plain([], [baseline.table(found)]))
    return EXIT_REGRESSION


def _import_renderers(options: argparse.Namespace) -> None:
    """Import what `_show` will need, so that a missing library shows before minutes are spent."""
    from fer_bench.report import render  # noqa: F401

    if options.html is not None:
        from fer_bench.report import page  # noqa: F401
    if options.png is not None:
        from fer_bench.report import figures  # noqa: F401


def _show(measured: dict[str, object], options: argparse.Namespace) -> None:
    from fer_bench.report.render import render_markdown, render_table
    from fer_engine.artifact import files

    print(render_table(measured))
    if options.markdown is not None:
        files.write_text(options.markdown, render_markdown(measured))
        print(f"report: {options.markdown}")
    if options.html is not None:
        from fer_bench.report import page

        files.write_text(options.html, page.render(measured, arguments.shown_faces(options, measured)))
        print(f"page: {options.html}")
    if options.png is not None:
        from fer_bench.report import figures

        print(f"figures: {', '.join(map(str, figures.write_pngs(measured, options.png)))}")
