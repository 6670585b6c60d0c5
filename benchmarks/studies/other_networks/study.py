"""Packages with a facial-expression network of their own, on the same faces as an artifact's network.

They are measured beside plain ONNX Runtime on the artifact, in the rounds of fer-bench. Their answers have an
accuracy and no parity: the network is another. Their packages seldom go beside ours, so they run in another
environment.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fer_bench
import fer_engine
import studies
from fer_bench import arguments
from fer_bench.contenders import inputs
from fer_bench.contenders.contender import BASELINE, Contender
from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.subprocess_run import output_of
from fer_bench.contenders.worker_client import SupportsAsk, Worker, running_workers
from fer_bench.passes import rounds, startup
from fer_bench.passes.energy.meters import Meters
from fer_bench.passes.options import BenchOptions
from fer_bench.record import environment
from fer_bench.report.table import percent, pipes
from fer_engine.artifact import files
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.schema import to_json
from fer_engine.cli import exit_codes
from fer_engine.errors import BackendError
from fer_export.verify import parity
from studies.other_networks.networks import NETWORKS

ADVICE = "make an environment with: python -m venv ENV && ENV/bin/pip install fer 'setuptools<81'"
OWN = ("accuracy", "interval", "recall", "ece")  # what a network's answers say without another's


# Our packages alone are added: not the folder that they lie in, which may hold all of this environment.
WORKER = """
import importlib.util, os, sys
for folder in sys.argv[1:]:
    name = os.path.basename(folder)
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
from fer_bench.contenders.kinds import KINDS, Kind
from fer_bench.passes.worker_main import main
from studies.other_networks.networks import NETWORKS
KINDS.update({name: Kind(network.modules, network.load) for name, network in NETWORKS.items()})
sys.exit(main())
"""


def worker_command(python: Path) -> list[str]:
    """Return the command that starts a worker of the benchmark on another environment's Python."""
    packages = [str(Path(module.__path__[0])) for module in (fer_bench, fer_engine, studies)]
    return [str(python), "-c", WORKER, *packages]


def start_worker(python: Path, contender: Contender) -> Worker:
    """Start a worker: of another network on `python`, of what is ours on this one."""
    if contender.kind in NETWORKS:
        return Worker(contender, worker_command(python))
    return Worker(contender)


def site_packages(python: Path) -> Path:
    """Return the folder of the packages of another environment.

    Raises:
        BackendError: its Python does not run.
    """
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    try:
        return Path(output_of(str(python), ask).strip())
    except OSError as error:
        raise BackendError(f"{python} does not run: {error.strerror}; {ADVICE}") from None


def line_up(artifact: Artifact, packages: Path) -> list[Contender]:
    """Return the baseline and the other networks, whose packages are in the folder `packages`.

    Raises:
        BackendError: a network is not installed there.
    """
    folder = str(artifact.folder)
    contenders = [Contender(BASELINE, "onnxruntime", folder, str(artifact.graph("fp32")))]
    for name, network in NETWORKS.items():
        file = packages / str(network.reads)
        if not file.exists():
            raise BackendError(f"{name} is not installed in {packages}: {file} is missing; {ADVICE}")
        contenders.append(Contender(name, name, folder, str(file), precision=network.precision))
    return contenders


def measure(
    artifact: Artifact,
    faces: Inputs,
    options: BenchOptions,
    packages: Path,
    start: Callable[[Contender], Worker],
) -> dict[str, Any]:
    """Return the record: start-up, accuracy, speed and energy, under the names of a record of fer-bench.

    Raises:
        FerError: a network is not installed in `packages`, or a contender fails.
    """
    contenders = line_up(artifact, packages)
    meters, speed = Meters(options.device), []
    with tempfile.TemporaryDirectory(prefix="fer-bench.") as scratch:
        faces_path = str(Path(scratch) / "faces.npy")
        np.save(faces_path, faces.faces)
        started, _ = startup.measure_startup(contenders, faces_path, options, start=start)
        with running_workers(contenders, faces_path, start) as workers:
            others = {name: workers[name] for name in NETWORKS}
            answers = accuracy(others, faces, Path(scratch))
            metered = meters.metered(workers, [])
            for batch in options.batches:
                asked = metered if batch == max(options.batches) else workers
                speed += rounds.summarize_rounds(rounds.run_rounds(asked, batch, options), batch)
            infos = {name: worker.ask("info") for name, worker in workers.items()}
    energy, energy_source = meters.joules_by_cpu()
    record = {
        "kind": "other-networks",
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "environment": environment.describe_machine(meters.gpu),
        "inputs": faces.described(),
        "options": options,
        "contenders": [to_json(entry) | {"info": infos[entry.name]} for entry in contenders],
        "startup": started,
        "other_networks": answers,
        "speed": speed,
        "energy": energy,
        "energy_source": energy_source,
    }
    return to_json(record)


def accuracy(
    workers: Mapping[str, SupportsAsk], faces: Inputs, folder: Path
) -> dict[str, dict[str, Any] | None]:
    """Return each network's accuracy measures, as `fer_export.verify.parity` names them; None without labels.

    The workers hold the faces and leave their logits in `folder`.

    Raises:
        ConfigError: a network gave logits that do not fit the labels.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name, worker in workers.items():
        found[name] = None
        if faces.labels is not None:
            path = folder / "logits.npy"
            worker.ask("logits", path=str(path))
            logits = np.load(path)
            labelled = parity.measure_parity(logits, logits, faces.labels).labelled
            found[name] = {key: getattr(labelled, key) for key in OWN}
    return found


def render(record: Mapping[str, Any]) -> str:
    """Return the record as tables in Markdown."""
    lines = [f"# Other networks, {record['date']}", "", f"Faces: {record['inputs']['description']}."]
    found = {name: labelled for name, labelled in record["other_networks"].items() if labelled}
    if found:
        lines += ["", "## Accuracy", ""]
        lines += pipes(("network", "top-1 % [95 %]", "ECE"), [_accuracy_row(*item) for item in found.items()])
    lines += ["", "## Speed", ""]
    columns = ("contender", "batch", "images a second", "ratio to onnxruntime [95 %]")
    lines += pipes(columns, map(_speed_row, record["speed"]))
    settings = [entry["info"] for entry in record["contenders"] if "settings" in entry["info"]]
    lines += [
        "",
        *(f"{info['settings']} (version {info['version']}, {info['source']})." for info in settings),
    ]
    return "\n".join(lines) + "\n"


def _accuracy_row(name: str, labelled: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = map(percent, labelled["interval"])
    return name, f"{percent(labelled['accuracy'])} [{low}, {high}]", f"{labelled['ece']:.4f}"


def _speed_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    ratio = entry["ratio"]
    return (
        entry["contender"],
        str(entry["batch"]),
        f"{statistics.median(entry['images_per_second']):,.0f}",
        f"{ratio['median']:.3f}x [{ratio['low']:.3f}, {ratio['high']:.3f}]",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m studies.other_networks", description=__doc__)
    parser.add_argument(
        "--artifact",
        type=Path,
        default=arguments.ARTIFACT,
        help="folder of fer-export (default: %(default)s)",
    )
    parser.add_argument(
        "--python", type=Path, required=True, help=f"Python of the environment of the networks; {ADVICE}"
    )
    parser.add_argument("--data", type=Path, help="FER2013 in any form (default: synthetic faces, no labels)")
    parser.add_argument("--split", default=arguments.SPLIT, help="of --data (default: %(default)s)")
    parser.add_argument("--batch", default="64", help="batch sizes, as in 1,64 (default: %(default)s)")
    parser.add_argument(
        "--json",
        type=Path,
        default=Path("reports/other_networks.json"),
        help="the record (default: %(default)s)",
    )
    options = parser.parse_args(argv)

    def run() -> int:
        bench = BenchOptions(batches=arguments.numbers("--batch", options.batch))
        artifact = Artifact.open(options.artifact)
        if options.data is None:
            faces = inputs.synthetic_inputs(artifact.spec)
        else:
            faces = inputs.dataset_inputs(options.data, options.split, artifact.spec)
        line = shlex.join([parser.prog, *(sys.argv[1:] if argv is None else argv)])
        record = {"command": line} | measure(
            artifact, faces, bench, site_packages(options.python), partial(start_worker, options.python)
        )
        files.write_text(options.json, json.dumps(record, indent=2) + "\n")
        print(render(record))
        print(f"record: {options.json}")
        return 0

    return exit_codes.run_command(run)
