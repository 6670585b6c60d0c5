"""GET / and /page: the web page and its files; /docs and /openapi.json: what the service answers to what."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fer_engine.artifact.spec import ModelSpec
from fer_engine.serve.limits import RefusedError
from fer_engine.serve.openapi import make_document
from fer_engine.serve.openapi_page import render_page

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
    """The handlers for the pages. Files are read once at the start, so no path can lead to other files."""

    def __init__(self, spec: ModelSpec) -> None:
        document = make_document(spec)
        self._document = JSONResponse(document, headers=HEADERS)
        self._documentation = Response(render_page(document), headers=HEADERS, media_type=TYPES[".html"])
        folder = resources.files("fer_engine.serve") / "page"
        self._files = {
            entry.name: Response(entry.read_bytes(), headers=HEADERS, media_type=_media_type(entry.name))
            for entry in folder.iterdir()
            if entry.is_file()
        }

    async def index(self, _: Request) -> Response:
        return self._files[INDEX]

    async def document(self, _: Request) -> Response:
        return self._document

    async def documentation(self, _: Request) -> Response:
        return self._documentation

    async def file(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in self._files:
            raise RefusedError(404, f"the page has no file {name[:40]!r}")
        return self._files[name]


def _media_type(name: str) -> str:
    return TYPES.get(Path(name).suffix, "application/octet-stream")
