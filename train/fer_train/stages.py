"""Recipes as data: a TOML file with the stages of a training, one after the other.

    [[stage]]
    name = "teacher"
    model = "fer_teacher"
    epochs = 42

    [[stage]]
    name = "student"
    model = "mini_xception"
    teacher = "teacher"        # the best checkpoint of that stage, or of each of a list; `init` likewise
    [stage.augmentation]
    rotation = 10.0

Every other key is a field of `Recipe`; what is left out has its default.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.artifact.schema import SchemaError, from_json, to_json
from fer_engine.errors import ConfigError
from fer_train.models import find_model
from fer_train.recipe import QAT, Augmentation, Recipe

INPUT = ("face_shape", "mean", "scale")  # what a network and its teacher take alike
FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True, slots=True)
class Stage:
    """One training run; `init` and `teacher` name earlier stages, whose best checkpoints are meant."""

    name: str
    model: str
    recipe: Recipe
    init: str | None = None
    teacher: tuple[str, ...] = ()
    threads: int = 1
    qat: bool = False


def _names(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)} - {"recipe", "augmentation"}


STAGE, RECIPE, AUGMENTATION = _names(Stage), _names(Recipe), _names(Augmentation)


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_stages(source: str, given: Mapping[str, Any]) -> list[Stage]:
    """Read the recipe that ships under a name, or the TOML file at a path.

    `given` holds options that take the place of the file's in every stage, by field of `Recipe`,
    `Augmentation` or `Stage`; others are passed over.

    Raises:
        ConfigError: there is no such recipe, or it has a key, type or value that is not accepted.
    """
    path = FOLDER / f"{source}.toml" if source in shipped_recipes() else Path(source)
    try:
        data = _parse(path.read_text("utf-8"))
    except OSError:
        raise ConfigError(
            f"no recipe {source!r}: give the path of a TOML file, or one of {', '.join(shipped_recipes())}"
        ) from None
    except ValueError as error:  # TOML and UTF-8 errors are some
        raise ConfigError(f"{path} is no TOML file: {error}") from None
    tables: Any = data.get("stage")
    tabular = isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)
    if set(data) != {"stage"} or not tabular:
        got = ", ".join(data) or "none"
        raise ConfigError(f"{path} must hold [[stage]] tables and nothing else, got {got}")
    stages: list[Stage] = []
    for number, table in enumerate(tables, 1):
        try:
            stage = _stage(table, given)
            _check_references(stage, stages)
        except ConfigError as error:
            raise ConfigError(f"{path}, stage {number}: {error}") from None
        stages.append(stage)
    return stages


def stage_from_options(given: Mapping[str, Any]) -> Stage:
    """Return the one stage that options ask for; see `read_stages` for `given`, which names the model.

    Raises:
        ConfigError: an option has a value that is not accepted.
    """
    return _stage({"name": "run", "model": given["model"]}, given)


def _stage(table: Mapping[str, Any], given: Mapping[str, Any]) -> Stage:
    """Return the stage of a table of the file, where `given` takes the place of what the table says."""
    missing = {"name", "model"} - set(table)
    if missing:
        raise ConfigError(f"{', '.join(sorted(missing))} missing")
    changes = table.get("augmentation", {})
    _check_keys(table, {*STAGE, *RECIPE, "augmentation"})
    data: dict[str, Any] = {**_pick(STAGE, table), **_pick(STAGE, given)}
    if isinstance(data.get("teacher"), str):
        data["teacher"] = [data["teacher"]]
    defaults = to_json(QAT if data.get("qat") else Recipe())
    data["recipe"] = defaults | _pick(RECIPE, table) | _pick(RECIPE, given) | {"augmentation": changes}
    if isinstance(changes, dict):
        _check_keys(changes, AUGMENTATION)
        data["recipe"]["augmentation"] = defaults["augmentation"] | changes | _pick(AUGMENTATION, given)
    try:
        return from_json(Stage, data)
    except SchemaError as error:
        name = error.path.removeprefix("recipe.")
        raise ConfigError(f"{name} must be {error.expected}, got {error.got}") from None


def _pick(names: Collection[str], table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: table[name] for name in names if name in table}


def _check_keys(table: Mapping[str, Any], known: Collection[str]) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ConfigError(f"unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _check_references(stage: Stage, stages: list[Stage]) -> None:
    earlier = {other.name: other.model for other in stages}
    # A stage's name is that of its folder, and best/ beside those is the result.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", stage.name) or stage.name.lower() == "best":
        raise ConfigError(
            f"the name is {stage.name!r}, expected letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit, and not 'best', which is the result's"
        )
    if stage.name in earlier:
        raise ConfigError(f"the name {stage.name!r} is taken by an earlier stage")
    for key, name in (("init", stage.init), *(("teacher", name) for name in stage.teacher)):
        if name not in (None, *earlier):
            raise ConfigError(
                f"{key} is {name!r}, expected an earlier stage ({', '.join(earlier) or 'there is none'})"
            )
    # Before the first epoch: the earlier stages may take hours.
    if stage.init and earlier[stage.init] != stage.model:
        raise ConfigError(f"init {stage.init!r} is {earlier[stage.init]}, expected a stage of {stage.model}")
    for name in stage.teacher:
        if _input(earlier[name]) != _input(stage.model):
            raise ConfigError(
                f"teacher {name!r} is {earlier[name]}, which takes other faces or another normalization than "
                f"{stage.model}; expected a network with the same ones"
            )


def _input(model: str) -> list[object]:
    return [getattr(find_model(model).spec, field) for field in INPUT]


def _parse(text: str) -> dict[str, Any]:
    # In Python from 3.11 on; before, the package that it was made of.
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return tomllib.loads(text)
