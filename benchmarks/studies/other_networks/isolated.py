"""A virtual environment of its own for a network whose packages cannot be installed beside ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import fer_bench
import fer_engine
import studies
from fer_bench.contenders.subprocess_run import output_of
from fer_engine.artifact import files
from fer_engine.errors import BackendError
from fer_engine.system.cache import cache_folder
from studies.other_networks.networks import NETWORKS

COMPLETE = "complete"  # written last, with what was installed: an environment without it was interrupted

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


def install(name: str) -> None:
    """Make the environment of a network, unless an earlier run did; pip downloads what it needs.

    Raises:
        BackendError: the environment cannot be made, or pip failed.
        FerError: the cache cannot be written.
    """
    folder, packages = _folder(name), NETWORKS[name].packages
    complete = folder / COMPLETE
    if complete.exists() and complete.read_text("utf-8") == packages:
        return
    print(f"installing {packages}: gigabytes into {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _create(name, folder)
    output_of(
        f"{name}: pip, for {folder},",
        [str(python(name)), "-m", "pip", "install", "--quiet", *packages.split()],
    )
    files.write_text(complete, packages)


def _create(name: str, folder: Path) -> None:
    try:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    except (OSError, subprocess.CalledProcessError) as error:
        raise BackendError(
            f"{name} gets no environment in {folder}: {error}; make room there and see that python -m venv "
            "works (Debian and Ubuntu: apt-get install python3-venv)"
        ) from None


def python(name: str) -> Path:
    """Return the interpreter of a network's environment."""
    return _folder(name) / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def installed_file(name: str, path: str) -> Path:
    """Return a file of a network's environment by its path among the installed packages."""
    return next(_folder(name).rglob("site-packages")) / path


def worker_command(name: str) -> list[str]:
    """Return the command that starts a worker of the benchmark in a network's environment."""
    packages = [str(Path(module.__path__[0])) for module in (fer_bench, fer_engine, studies)]
    return [str(python(name)), "-c", WORKER, *packages]


def _folder(name: str) -> Path:
    return cache_folder() / "peers" / f"{name}-environment"
