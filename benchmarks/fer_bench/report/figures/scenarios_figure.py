"""What LoadGen found, a panel a scenario."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_bench.record.record import Record
from fer_bench.record.scenario_runs import PerformanceRun
from fer_bench.report.figures import layout
from fer_bench.report.figures.mark import Mark, marks_of
from fer_bench.report.figures.plot import Plot


def draw(record: Record, width: int) -> Figure | None:
    timed = [run for run in record.scenarios or () if isinstance(run, PerformanceRun)]
    if not timed:
        return None
    scenarios = list(dict.fromkeys(run.scenario for run in timed))
    names = list(dict.fromkeys(run.contender for run in timed))
    figure, panels = layout.panels(width, 80 + layout.ROW * len(names), scenarios, 2)
    for panel, scenario in zip(panels, scenarios, strict=True):
        runs = {run.contender: run for run in timed if run.scenario == scenario}
        _bars(panel, runs, names, marks_of(record))
        panel.set_title(f"{scenario}, {next(iter(runs.values())).metric.unit}")
    return figure


def _bars(panel: Axes, runs: Mapping[str, PerformanceRun], names: list[str], marks: dict[str, Mark]) -> None:
    for place, name in enumerate(names):
        if name in runs:
            value, valid = runs[name].metric.value, runs[name].valid
            length = value or 0.0
            panel.barh(place, length, height=0.62, color=marks[name].colour, alpha=1.0 if valid else 0.4)
            text = ("no result" if value is None else _figure(value)) + ("" if valid else ", INVALID")
            panel.annotate(text, (length, place), (5, 0), textcoords="offset points", va="center")
    panel.margins(x=0.9)  # room for the figure and a verdict
    panel.set_xlim(left=0)
    layout.rows(panel, [marks[name].name for name in names])


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


PLOT = Plot(
    name="scenarios",
    title="MLPerf LoadGen scenarios",
    caption=(
        "LoadGen's own metric of each scenario: for single-stream and multi-stream a latency, where shorter "
        "is better, for server and offline a rate, where longer is better. A pale bar is a run that LoadGen "
        "judged INVALID. These are no MLPerf results: the tables say how they depart."
    ),
    missing="not measured: run with --scenario",
    draw=draw,
)
