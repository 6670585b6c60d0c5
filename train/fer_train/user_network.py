"""A network of the user's own, by the name of the class or function that makes it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fer_engine.artifact.artifact import SPEC_NAME, WEIGHTS_NAME
from fer_engine.artifact.schema import SchemaError, from_json, parse, to_json
from fer_engine.errors import CheckpointError, ConfigError, first_line

NAME = "module.json"
# The variable in which a command tells its own workers what the user named with --module.
TRUSTED = "FER_TRUSTED_MODULE"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Target:
    """What makes the network, as in "package.module:MyNet"."""

    format_version: int
    module: str


def build_network(target: str) -> nn.Module:
    """Make the network that `target` names, as in "package.module:MyNet", on the CPU.

    It is a class or a function that takes no arguments, in a module that can be imported from the
    current folder or is installed. Importing it runs its code.

    Raises:
        ConfigError: it cannot be imported or called, or gives no `torch.nn.Module`.
    """
    factory = _find(target)
    try:
        network = factory()
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise ConfigError(
            f"{target} cannot be called without arguments ({first_line(error, named=True)}); "
            "name a class or a function that needs none"
        ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{target} gives {type(network).__name__}, expected a torch.nn.Module")
    return network


def write_target(folder: Path, target: str) -> None:
    """Write into a checkpoint folder what makes its network."""
    text = json.dumps(to_json(Target(FORMAT_VERSION, target)), indent=2)
    (folder / NAME).write_text(text + "\n", "utf-8")


def read_target(folder: Path) -> str | None:
    """Return what makes the network of a checkpoint folder; None for one of the registry.

    Raises:
        CheckpointError: the note is damaged or of another version.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return from_json(Target, parse(path.read_bytes(), FORMAT_VERSION)).module
    except (OSError, SchemaError) as error:
        raise CheckpointError(
            f"{path} is damaged or of another release: {error}; export the network again"
        ) from None


def trusted_target(folder: Path, named: str | None = None) -> str | None:
    """Return what makes the network of a checkpoint folder, if the user named it; None for the registry's.

    A folder may come from anybody, so it decides nothing of what is imported. `named` is what the user names;
    a command's workers find it in the environment, see `TRUSTED`.

    Raises:
        CheckpointError: the note in the folder is damaged or of another version.
        ConfigError: the folder asks for code that the user did not name.
    """
    target = read_target(folder)
    if target is None or target in (named, os.environ.get(TRUSTED)):
        return target
    weights = folder / WEIGHTS_NAME
    raise ConfigError(
        f"{folder} asks for the code of {target}, which nobody named: a folder alone runs none. If you trust "
        f"that code, name it: fer-bench --module {target}, or fer-export --module {target} --checkpoint "
        f"{weights} --spec {folder / SPEC_NAME}"
    )


def _find(target: str) -> Callable[[], Any]:
    path, colon, attribute = target.partition(":")
    if not (path and colon and attribute):
        raise ConfigError(f"expected a network as package.module:MyNet, got {target!r}")
    here = str(Path.cwd())  # a console script does not look there by itself
    if here not in sys.path:  # it stays there for what the network imports later
        sys.path.insert(0, here)
    try:
        factory = getattr(importlib.import_module(path), attribute)
    except (Exception, SystemExit) as error:  # a script without a main guard may exit
        raise ConfigError(
            f"cannot import {target} ({first_line(error, named=True)}); install what it needs, "
            f"and run in the folder that {path.partition('.')[0]} lies in (this is {here})"
        ) from error
    if not callable(factory):
        raise ConfigError(f"{target} is {type(factory).__name__}, expected a class or a function")
    return factory
