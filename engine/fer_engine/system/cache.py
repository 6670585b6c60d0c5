"""The one folder for what may be made again: exported models, parsed data, converted networks."""

from __future__ import annotations

import os
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
        FerError: none is named, and the user has no home folder or platformdirs is not installed.
    """
    named = named_cache_folder()
    if named is not None:
        return named
    try:
        import platformdirs

        return platformdirs.user_cache_path("fer-engine", appauthor=False, opinion=False)
    except ImportError:
        raise FerError(
            "the cache folder is found with platformdirs; install it with: pip install platformdirs, "
            f"or name a folder in {VARIABLE}"
        ) from None
    except RuntimeError:
        raise FerError(
            f"no home folder to keep a cache in; set HOME, or name a folder in {VARIABLE}"
        ) from None
