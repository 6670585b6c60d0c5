"""Files whose bytes reach a runtime only once they are found to be those that a record vouches for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fer_engine.errors import ArtifactError


def read(path: Path, sha256: str, size: int, what: str, remedy: str) -> bytes:
    """Return the content of `path`; `what` says which file it should be, `remedy` how to get it back.

    Raises:
        ArtifactError: the file is missing, truncated or altered.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        said = getattr(error, "strerror", None) or error
        raise ArtifactError(f"{path} cannot be read ({said}); {remedy}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ArtifactError(
            f"{path} is not {what}: SHA-256 {digest[:12]}..., expected {sha256[:12]}... "
            f"({len(content)} bytes, expected {size}); {remedy}"
        )
    return content
