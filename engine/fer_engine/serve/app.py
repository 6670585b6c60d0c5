"""The ASGI application: its routes, and the checks, errors and counts that all requests share.

Router and requests are Starlette's. `_Endpoint` takes the place of Starlette's application class, whose
middleware took a fifth of the time of a small request.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from fer_engine.errors import BackendError, ConfigError, FerError
from fer_engine.serve import responses
from fer_engine.serve.body import RECEIVED
from fer_engine.serve.face_finder import FaceFinder
from fer_engine.serve.image_route import ImageRoute
from fer_engine.serve.limits import RefusedError
from fer_engine.serve.metrics import REFUSED
from fer_engine.serve.page_routes import PageRoutes
from fer_engine.serve.service import Service
from fer_engine.serve.v1_routes import V1Routes
from fer_engine.serve.v2_protocol import HEADER_NAME
from fer_engine.serve.v2_routes import V2Routes
from fer_engine.vision.face import FaceDetector

Handler = Callable[[Request], Awaitable[Response]]

LOG = logging.getLogger(__name__)
GONE = 499  # nginx's status for a client that left before the answer; only the metrics see it
LENGTHS = {b"content-length", b"transfer-encoding"}  # a request with a body has one of these headers
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:_\[\]-]+")  # as browsers send it: no capitals, no path
MODEL, V1_MODEL = "/v2/models/{name}", "/v1/models/{name}"


def make_app(service: Service, detector: FaceDetector, cors_origins: Sequence[str] = ()) -> ASGIApp:
    """Return the application that serves one engine; the detector finds the faces of images.

    Pages of `cors_origins`, such as https://example.org, or of all with "*", may read its answers.
    """
    posts, gets = _handlers(service, detector)
    routes = [
        Route(path, _Endpoint(handler, path, service), methods=[method])
        for method, handlers in (("POST", posts), ("GET", gets))
        for path, handler in handlers.items()
    ]
    other_methods = [
        Route(path, _Endpoint(_refuse_method(allowed), path, service))
        for allowed, handlers in (("POST", posts), ("GET, HEAD", gets))
        for path in handlers
    ]
    unknown = _Endpoint(_refuse_path, "other", service)
    router = Router([*routes, *other_methods], default=unknown, redirect_slashes=False)
    if not cors_origins:
        return router
    return CORSMiddleware(
        router,
        allow_origins=cors_origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["*"],
        expose_headers=[HEADER_NAME, "Retry-After"],
    )


def _handlers(service: Service, detector: FaceDetector) -> tuple[dict[str, Handler], dict[str, Handler]]:
    """Return the handlers of POST and of GET by their paths, which `openapi.make_document` describes."""
    finder = FaceFinder(detector, service.spec, service.limits)
    v1, v2, page = V1Routes(service, finder), V2Routes(service), PageRoutes(service.spec)
    posts: dict[str, Handler] = {
        f"{MODEL}/infer": v2.infer,  # first, because routes are tried in order
        f"{MODEL}/versions/{{version}}/infer": v2.infer,
        "/v2/repository/index": v2.index,
        "/predict": ImageRoute(service, finder).predict,
        f"{V1_MODEL}:predict": v1.predict,
    }
    gets: dict[str, Handler] = {
        "/v1/models": v1.models,
        V1_MODEL: v1.ready,
        "/v2": v2.server,
        "/v2/health/live": v2.live,
        "/v2/health/ready": v2.ready,
        "/v2/models/stats": v2.statistics,  # of all models; before the route of a model of that name
        "/": page.index,
        "/page/{file}": page.file,
        "/docs": page.documentation,
        "/openapi.json": page.document,
        "/metrics": _metrics(service),
    }
    for prefix in (MODEL, f"{MODEL}/versions/{{version}}"):
        gets |= {
            prefix: v2.model,
            f"{prefix}/ready": v2.model_ready,
            f"{prefix}/config": v2.model_config,
            f"{prefix}/stats": v2.statistics,
        }
    return posts, gets


def check_cors_origins(origins: Sequence[str]) -> None:
    """Check that origins are as browsers name them, or "*".

    Raises:
        ConfigError: one of them is not.
    """
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"an origin is a scheme, a host and a port that is not the scheme's own, as in "
                f"https://example.org or http://localhost:3000, or * for all; got {origin[:100]!r}"
            )


class _Endpoint:
    """Checks a request, runs the handler, turns errors into responses, and counts responses by `route`."""

    def __init__(self, handler: Handler, route: str, service: Service) -> None:
        self._handler = handler
        self._route = route
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route
        try:
            _check_request(scope, self._service)
        except RefusedError as refused:
            route, response = REFUSED, responses.refusal(refused)
            response.headers["connection"] = "close"
        else:
            begun = time.perf_counter()
            response = await self._respond(Request(scope, receive))
            if response.status_code != GONE:
                took = time.perf_counter() - scope.get(RECEIVED, begun)
                self._service.metrics.durations.labels(route).observe(took)
        self._service.metrics.requests.labels(route, response.status_code).inc()
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except RefusedError as refused:
            return responses.refusal(refused)
        except BackendError as error:
            LOG.error("%s: %s", self._route, error)  # noqa: TRY400 - the text says all
            return responses.error(500, str(error))
        except FerError as error:
            return responses.error(400, str(error))
        except ClientDisconnect:
            return Response(status_code=GONE)
        except Exception:
            LOG.exception("%s failed", self._route)
            return responses.error(500, "the server failed on this request; its log says why")


def _check_request(scope: Scope, service: Service) -> None:
    """Check what does not depend on the route.

    Raises:
        RefusedError: the headers are too long, too many connections are open, or the request has a body and
            the header Upgrade: uvicorn's parser takes such a body for another protocol's.
    """
    headers, limits = scope["headers"], service.limits
    url = len(scope["raw_path"]) + len(scope["query_string"])
    if url + sum(map(len, chain.from_iterable(headers))) > limits.head:
        raise RefusedError(431, limits.long_head())
    if service.connections() > limits.connections:
        raise RefusedError(503, "too many connections are open; try again", retry=True)
    named = dict(headers)
    if b"upgrade" in named and b"upgrade" in named.get(b"connection", b"").lower() and named.keys() & LENGTHS:
        raise RefusedError(
            400, "the header Upgrade cannot be served with a body; send the request without it"
        )


async def _refuse_path(request: Request) -> Response:
    raise RefusedError(404, f"{request.scope['path'][:100]} is not served here")


def _refuse_method(allowed: str) -> Handler:
    async def refuse(request: Request) -> Response:
        response = responses.error(
            405, f"{request.scope['path'][:100]} takes {allowed}, got {request.method}"
        )
        response.headers["Allow"] = allowed
        return response

    return refuse


def _metrics(service: Service) -> Handler:
    async def render(_: Request) -> Response:
        return Response(service.metrics.render(), headers={"content-type": PROMETHEUS})

    return render
