"""fer-bench: measure an artifact in one JSON record, show a record, compare two."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fer_bench import arguments
from fer_engine.cli import exit_codes
from fer_engine.system import progress

if TYPE_CHECKING:
    from fer_bench.compare.baseline import Baseline
    from fer_bench.record.record import Record


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    line = shlex.join(["fer-bench", *words])
    command = words.pop(0) if words[:1] and words[0] in arguments.COMMANDS else None
    options = arguments.parser(command).parse_args(words)

    def body() -> int:
        if command is None and options.render is not None:
            arguments.check_render(words)
        elif command in (None, "run"):
            with progress.hidden(options.quiet):
                return _run(options, line)
        return _show_or_compare(options, report=command != "compare")

    return exit_codes.run_command(body)


def _show_or_compare(options: Namespace, *, report: bool) -> int:
    """Show a record where a `report` is wanted, and compare it where there is a baseline."""
    from fer_bench.record.record_file import load_record

    arguments.check_page(options)
    earlier = arguments.baseline(options)
    measured = load_record(options.render)
    if earlier is not None:
        earlier.check(measured)
    if report:
        _show(measured, options)
    return _verdict(earlier, measured)


def _run(options: Namespace, line: str) -> int:
    from fer_bench import bench
    from fer_bench.contenders.contender import line_up
    from fer_bench.record import record_file
    from fer_train.user_network import TRUSTED

    _import_renderers(options)
    arguments.check_page(options)
    if options.module is not None:
        os.environ[TRUSTED] = options.module  # for the workers
    earlier = arguments.baseline(options)
    settings = arguments.bench_options(options)
    for path in (options.json, options.markdown, options.html, options.png and options.png / "figure.png"):
        if path is not None:
            record_file.check_writable(path)
    inputs = arguments.faces(options, arguments.spec(options))
    artifact = arguments.artifact(options)
    contenders, skipped = line_up(artifact, settings.sweep, settings.device)
    if options.peers is not None:
        from fer_bench.contenders.peers.line_up import line_up_peers

        named = arguments.names("--peers", options.peers or None)
        found, absent = line_up_peers(artifact, named, settings.sweep.shared_threads)
        contenders, skipped = [*contenders, *found], [*skipped, *absent]
    if earlier is not None:
        earlier.check(bench.subject(artifact, contenders, inputs, settings))
    measured = bench.measure_contenders(artifact, contenders, skipped, inputs, settings, line)
    record_file.write_record(options.json, measured)
    _show(measured, options)
    print(f"record: {options.json}")
    return _verdict(earlier, measured)


def _verdict(earlier: Baseline | None, measured: Record) -> int:
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
    print(render.plain_text([], [baseline.table(found)]))
    return arguments.EXIT_REGRESSION


def _import_renderers(options: Namespace) -> None:
    """Import what `_show` will need, so that a missing library shows before minutes are spent."""
    from fer_bench.report import render  # noqa: F401

    if options.html is not None:
        from fer_bench.report import page  # noqa: F401
    if options.png is not None:
        from fer_bench.report import figures  # noqa: F401


def _show(measured: Record, options: Namespace) -> None:
    from fer_bench.report.render import render_markdown, render_text
    from fer_engine.artifact import files

    print(render_text(measured))
    if options.markdown is not None:
        files.write_text(options.markdown, render_markdown(measured))
        print(f"report: {options.markdown}")
    if options.html is not None:
        from fer_bench.report import page

        files.write_text(options.html, page.render_page(measured, arguments.shown_faces(options, measured)))
        print(f"page: {options.html}")
    if options.png is not None:
        from fer_bench.report import figures

        print(f"figures: {', '.join(map(str, figures.write_pngs(measured, options.png)))}")
