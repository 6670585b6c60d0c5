"""The artifacts of the networks that ship with the package: nothing has to be exported to use them."""

from __future__ import annotations

import os
from pathlib import Path

from fer_engine.artifact.artifact import MANIFEST_NAME
from fer_engine.errors import ConfigError

FOLDER = Path(__file__).with_name("networks")
MODEL = "fer_tiny"  # the best answers at camera rates


def shipped_names() -> tuple[str, ...]:
    """Return the names of the networks that ship."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{MANIFEST_NAME}")))


def shipped_artifact(model: str = MODEL) -> Path:
    """Return the artifact folder of a network that ships, with all precisions.

    They were judged by their answers on FER2013's PublicTest; no speed of another machine counts here.

    Raises:
        ConfigError: no such network ships.
    """
    if model not in shipped_names():
        raise ConfigError(
            f"no model {model!r} ships with the package; there are: {', '.join(shipped_names())}"
        )
    return FOLDER / model


def find_artifact(path: str | os.PathLike[str]) -> Path:
    """Return the folder that a path or the name of a network that ships stands for; a folder comes first."""
    folder = Path(path)
    return (
        FOLDER / path if isinstance(path, str) and path in shipped_names() and not folder.exists() else folder
    )
