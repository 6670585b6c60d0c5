"""GET / and /page: the web page and its files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from fer_engine.serve.limits import RefusedError

INDEX = "index.html"
# The browser loads files from this server only, and images also from the page itself.
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
# By ending; the module mimetypes would depend on the system, some of which map these wrongly.
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


class PageRoutes:
    """The handlers for the page. Its files are read once at the start, so no path can lead to other files."""

    def __init__(self) -> None:
        folder = resources.files("fer_engine.serve") / "page"
        self._files = {
            entry.name: Response(entry.read_bytes(), headers=HEADERS, media_type=_media_type(entry.name))
            for entry in folder.iterdir()
            if entry.is_file()
        }

    async def index(self, _: Request) -> Response:
        return self._files[INDEX]

    async def file(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in self._files:
            raise RefusedError(404, f"the page has no file {name[:40]!r}")
        return self._files[name]


def _media_type(name: str) -> str:
    return TYPES.get(Path(name).suffix, "application/octet-stream")
