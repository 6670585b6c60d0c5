"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from fer_engine.errors import ArtifactError, FerError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` with `content` in one step; a reader sees the old file or the new one."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        name = temporary_beside(path)
        try:
            # Its permissions are the user's usual ones: those of `tempfile` are always private.
            with name.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                name.unlink()
            raise


def temporary_beside(path: Path, suffix: str = ".tmp") -> Path:
    """Return a hidden path in the folder of `path` that nothing has yet."""
    # A name may have 255 bytes, and one of 40 characters has at most 160.
    return path.parent / f".{path.name[:40]}.{secrets.token_hex(8)}{suffix}"


def write_text(path: Path, text: str) -> None:
    """Replace `path` with `text` (UTF-8) in one step."""
    write_bytes(path, text.encode())


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to fill; at the end it takes the place of `path`.

    Where the body raises, `path` stays as it was. No system-independent call swaps two folders in
    one step, so an older one is moved aside first; a process killed between the two renames leaves
    it there, and `recover` puts it back.
    """
    path = path.resolve()
    recover(path)
    with writing(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file, not a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = temporary_beside(path)
        fresh.mkdir()
        try:
            yield fresh
            _take_place(fresh, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _take_place(fresh: Path, path: Path) -> None:
    aside = _aside(path)
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)  # older than what stands at `path`
        os.replace(path, aside)
    try:
        os.replace(fresh, path)
    except BaseException:
        if aside.exists():
            os.replace(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def recover(path: Path) -> None:
    """Put back the folder that an interrupted `folder(path)` had moved aside, if it did."""
    if not path.exists() and _aside(path).exists():
        with writing(path):
            os.replace(_aside(path), path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise an OSError of the body, which writes `path`, as a FerError with advice."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise FerError(
            f"cannot write {path}: {reason}; free the space, or give a folder that you may write to"
        ) from error


def read_verified(path: Path, sha256: str, size: int, what: str, remedy: str) -> bytes:
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
