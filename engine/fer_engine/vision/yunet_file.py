"""The file of YuNet, fetched once from OpenCV's model zoo into the user's cache."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

from fer_engine._version import __version__
from fer_engine.errors import ConfigError, FerError, first_line
from fer_engine.system import progress
from fer_engine.system.cache import cache_folder

LOG = logging.getLogger(__name__)
FILE = "face_detection_yunet_2023mar.onnx"
SIZE = 232_589  # bytes
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# The zoo has moved to Hugging Face; its repository on GitHub is archived, and still has the file.
ADDRESSES = (
    f"https://huggingface.co/opencv/face_detection_yunet/resolve/main/{FILE}",
    f"https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/{FILE}",
)
TIMEOUT = 20  # seconds without a byte
CHUNK = 16_384  # bytes


def yunet_file(addresses: Sequence[str] = ADDRESSES) -> Path:
    """Return the path of YuNet's file in the user's cache folder; the first call fetches it.

    What is there is used if its hash is right, and fetched again if not. What is fetched replaces it only
    after its hash was checked, so that several processes may call at once. The proxies of the environment
    (`https_proxy`) count.

    Args:
        addresses: Where the file is, tried in this order.

    Raises:
        ConfigError: no address gave the file; the message has the manual way.
        FerError: there is no cache folder, or it cannot be written.
    """
    path = cache_folder() / "detectors" / FILE
    try:
        if path.exists():
            wrong = _what_is_wrong(path.read_bytes())
            if wrong is None:
                return path
            LOG.warning("%s is not YuNet's file (%s) and is fetched again", path, wrong)
    except OSError as error:
        raise FerError(
            f"cannot read {path}: {error.strerror or error}; delete it, or name another folder in "
            "FER_ENGINE_CACHE"
        ) from error
    content = _fetch_first(addresses, path)
    try:
        _put(content, path)
    except OSError as error:
        raise FerError(
            f"cannot write {path}: {error.strerror or error}; free the space, or name a folder that you may "
            "write to in FER_ENGINE_CACHE"
        ) from error
    return path


def _fetch_first(addresses: Sequence[str], path: Path) -> bytes:
    """Return the file's bytes from the first address that gives them."""
    failures = []
    for address in addresses:
        try:
            content = _fetch(address)
            wrong = _what_is_wrong(content)
        # ValueError: a proxy in the environment that is no address.
        except (OSError, HTTPException, ValueError) as error:
            wrong = first_line(error) if type(error) is not URLError else str(error.reason)
        if wrong is None:
            return content
        failures.append(f"{urlsplit(address).hostname}: {wrong}")
    raise ConfigError(
        f"YuNet's file cannot be fetched ({'; '.join(failures)}). By hand: download {addresses[0]} "
        f"on a machine that can, and copy it to {path}, or give its path instead of the name 'yunet'"
    )


def _fetch(address: str) -> bytes:
    """Return what is at an address, at most one chunk more than the file has.

    Raises:
        OSError: it cannot be reached.
        HTTPException: the answer is broken off or no HTTP.
    """
    opener = urllib.request.build_opener()  # of its own: the shared one keeps the proxies of its first use
    opener.addheaders = [("User-Agent", f"fer-engine/{__version__}")]
    title = f"fetching YuNet's file ({SIZE:,} bytes, once) from {urlsplit(address).hostname}"
    content = bytearray()
    with progress.bar(title, SIZE) as advance, opener.open(address, timeout=TIMEOUT) as answer:
        while len(content) <= SIZE and (chunk := answer.read(CHUNK)):
            content += chunk
            advance(len(chunk))
    return bytes(content)


def _what_is_wrong(content: bytes) -> str | None:
    """Return why these bytes are not YuNet's file; None if they are."""
    if len(content) != SIZE:
        more = "more than " if len(content) > SIZE else ""
        return f"got {more}{min(len(content), SIZE):,} bytes, expected {SIZE:,}"
    found = hashlib.sha256(content).hexdigest()
    return None if found == SHA256 else f"its SHA-256 is {found}, expected {SHA256}"


def _put(content: bytes, path: Path) -> None:
    """Write a file whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as folder:
        whole = Path(folder, path.name)
        whole.write_bytes(content)
        os.replace(whole, path)
