"""The plan of the house, held by a test: who imports whom, no circles, names that stand for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each part may import itself and those before it.
PARTS = {
    "fer_engine": ROOT / "engine",
    "fer_train": ROOT / "train",
    "fer_export": ROOT / "export",
    "fer_bench": ROOT / "benchmarks",
}
# One of a kind in several folders, as everybody expects: a command's entry, a runtime's backend.
REPEATED = {"__init__", "__main__", "cli", "backend"}
HEAVY = {"torch", "onnx", "onnxscript"}


def modules(part: str) -> dict[str, Path]:
    """Every module of a part by its dotted name."""
    root = PARTS[part]
    found = {}
    for path in (root / part).rglob("*.py"):
        names = path.relative_to(root).with_suffix("").parts
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


ALL = {name: path for part in PARTS for name, path in modules(part).items()}


def imported(path: Path, *, lazily: bool = True) -> set[str]:
    """The dotted names that a file imports; those for type checkers alone are none."""
    names: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not lazily:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in ALL else node.module)
        pending.extend(ast.iter_child_nodes(node))
    return names


@pytest.mark.parametrize("part", PARTS)
def test_dependencies_point_one_way(part):
    above = list(PARTS)[list(PARTS).index(part) + 1 :]
    for name, path in modules(part).items():
        upward = [target for target in imported(path) if target.partition(".")[0] in above]
        assert not upward, f"{name} imports {upward}"


def test_the_runtime_never_imports_what_trains_and_exports():
    for name, path in modules("fer_engine").items():
        assert not {target.partition(".")[0] for target in imported(path)} & HEAVY, name


def test_there_are_no_circles():
    graph = {name: {target for target in imported(path) if target in ALL} for name, path in ALL.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("part", PARTS)
def test_a_module_s_name_stands_for_one_thing(part):
    places = defaultdict(list)
    for name in modules(part):
        folder, _, last = name.rpartition(".")
        if folder.rpartition(".")[2] != last:  # artifact/artifact.py holds the noun that its folder is about
            places[last].append(name)
    repeated = {name: where for name, where in places.items() if len(where) > 1 and name not in REPEATED}
    assert not repeated


@pytest.mark.parametrize(
    ("part", "files"),
    [
        ("fer_engine", {"__init__", "_version", "engine", "errors", "exporter", "shipped"}),
        ("fer_export", {"__init__", "__main__", "artifact", "cli", "pipeline", "report"}),
        ("fer_bench", {"__init__", "__main__", "arguments", "bench", "cli"}),
    ],
)
def test_the_root_of_a_part_holds_what_a_stranger_looks_for_first(part, files):
    assert {path.stem for path in (PARTS[part] / part).glob("*.py")} == files


@pytest.mark.parametrize("part", PARTS)
def test_every_folder_says_what_it_is_for(part):
    for path in (PARTS[part] / part).rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path
