"""The disk space of each runtime and of the packages that it requires, as installed here."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fer_engine
from fer_bench.contenders.kinds import KINDS
from fer_bench.record.record import MeasuredContender, RuntimeSize

OWN = "fer-engine"  # its distribution also holds what trains and measures: the engine's folder alone counts


def runtime_sizes(contenders: Iterable[MeasuredContender]) -> dict[str, RuntimeSize | None]:
    """Return the packages of each runtime with their bytes, and the sum.

    A key is the contender's kind up to its first "/", or "engine/BACKEND"; its value is None where the
    runtime is not among this interpreter's packages.
    """
    needed: dict[str, tuple[str, ...]] = {}
    for contender in contenders:
        if contender.kind == "engine":
            libraries = set(contender.info.versions or ()) - {"python"}
            needed[f"engine/{contender.info.backend}"] = tuple(sorted(libraries))
        else:
            needed[contender.kind.partition("/")[0]] = KINDS[contender.kind].modules
    return {runtime: _size(libraries) for runtime, libraries in needed.items()}


def _size(libraries: Sequence[str]) -> RuntimeSize | None:
    distributions = _distributions(libraries)
    found = closure(distributions)
    if not {canonicalize_name(name) for name in distributions} <= set(found):
        return None
    packages = {name: installed_bytes(name) for name in found}
    return RuntimeSize(packages, sum(packages.values()))


def closure(distributions: Iterable[str]) -> list[str]:
    """Return these distributions and all that they require, without extras, as far as they are installed."""
    found: set[str] = set()
    pending = [canonicalize_name(name) for name in distributions]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # required, but not installed
            continue
        found.add(name)
        pending += [
            canonicalize_name(requirement.name)
            for requirement in map(Requirement, requirements)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    return sorted(found)


@functools.cache
def installed_bytes(distribution: str) -> int:
    """Return the size of a distribution's files; those that were deleted count nothing."""
    if distribution == OWN:
        return sum(path.stat().st_size for path in Path(fer_engine.__file__).parent.rglob("*.py"))
    paths = (Path(str(file.locate())) for file in metadata.files(distribution) or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def _distributions(libraries: Sequence[str]) -> set[str]:
    """Return the distributions that bring these modules, or have their names; those of ours are left out."""
    roots = {library.partition(".")[0] for library in libraries if not library.startswith("fer_")}
    return {name for root in roots for name in _provided().get(root, [root])}


@functools.cache
def _provided() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()
