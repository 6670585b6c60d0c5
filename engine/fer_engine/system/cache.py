"""The one folder for what may be made again: exported models, parsed data, converted networks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fer_engine.errors import FerError

VARIABLE = "FER_ENGINE_CACHE"


def named_cache_folder() -> Path | None:
    """Return the folder that the environment variable FER_ENGINE_CACHE names; None where it names none."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def cache_folder() -> Path:
    """Return the folder named in FER_ENGINE_CACHE, else `fer-engine` where the system keeps a user's caches.

    Raises:
        FerError: none is named, and the user has no home folder.
    """
    return named_cache_folder() or _user_cache_folder() / "fer-engine"


def _user_cache_folder() -> Path:
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches"
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The XDG Base Directory Specification has a relative path ignored.
        return given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise FerError(
            f"no home folder to keep a cache in; set HOME, or name a folder in {VARIABLE}"
        ) from None
