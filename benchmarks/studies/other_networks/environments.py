"""The environments of the packages: each package has one, since few go beside another, or beside ours."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import fer_bench
import fer_engine
import studies
from fer_bench.contenders.contender import Contender
from fer_bench.contenders.subprocess_run import output_of
from fer_bench.contenders.worker_client import Worker
from fer_engine.errors import BackendError, ConfigError
from studies.other_networks.networks import NETWORKS

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


def parse(pairs: Sequence[str]) -> dict[str, Path]:
    """Return the environments of `--environment NAME=FOLDER`, given once for each package.

    Raises:
        ConfigError: one is no such pair, names no network, or names one again.
    """
    found: dict[str, Path] = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        if name not in NETWORKS or not folder:
            raise ConfigError(
                f"--environment takes NAME=FOLDER, NAME one of {', '.join(NETWORKS)}; got {pair!r}"
            )
        if name in found:
            raise ConfigError(f"--environment {name} is given twice; give each package one folder")
        found[name] = Path(folder)
    return found


def contenders(environments: Mapping[str, Path], artifact: Path) -> list[Contender]:
    """Return the packages' networks, in the order of `NETWORKS`.

    `artifact` is the folder that every contender has; they do not read it.

    Raises:
        BackendError: a package is not installed in its environment.
    """
    found = []
    for name, network in NETWORKS.items():
        if name in environments:
            file = _packages(name, environments[name]) / network.file
            if not file.exists():
                raise BackendError(
                    f"{name} is not installed in {environments[name]}: {file} is missing; {_advice(name)}"
                )
            found.append(Contender(name, name, str(artifact), str(file), precision="its own", threads=1))
    return found


def start_worker(environments: Mapping[str, Path], contender: Contender) -> Worker:
    """Start a worker: of a package in its environment, of what is ours, and for Node.js, in this one."""
    if contender.kind not in NETWORKS:
        return Worker(contender)
    python = Path(sys.executable)
    if not NETWORKS[contender.kind].npm:
        python = interpreter(environments[contender.kind])
    return Worker(contender, worker_command(python))


def worker_command(python: Path) -> list[str]:
    """Return the command that starts a worker of the benchmark on another environment's Python."""
    packages = [str(Path(module.__path__[0])) for module in (fer_bench, fer_engine, studies)]
    return [str(python), "-c", WORKER, *packages]


def interpreter(environment: Path) -> Path:
    """Return the Python of a virtual environment; its link is kept, since it leads out of the environment."""
    return environment.absolute() / "bin" / "python"


def _packages(name: str, environment: Path) -> Path:
    if NETWORKS[name].npm:
        return environment / "node_modules"
    python = interpreter(environment)
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    try:
        return Path(output_of(str(python), ask).strip())
    except OSError as error:
        raise BackendError(f"{python} does not run: {error.strerror}; {_advice(name)}") from None


def _advice(name: str) -> str:
    return f"make an environment in a folder ENV with: {NETWORKS[name].install}"
