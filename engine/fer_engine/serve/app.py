"""The application: routes, and what every request gets whatever its route.

Router and requests are Starlette's. Its application is left out: the layers around the router, which do what
`_Answered` does, took a fifth of the time of a small request.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from fer_engine.errors import BackendError, FerError
from fer_engine.serve import responses
from fer_engine.serve.image_route import Images
from fer_engine.serve.limits import RefusedError
from fer_engine.serve.metrics import Metrics
from fer_engine.serve.page import Page
from fer_engine.serve.service import Service
from fer_engine.serve.v2_routes import Inference
from fer_engine.vision.detector import HaarDetector

Endpoint = Callable[[Request], Awaitable[Response]]

LOG = logging.getLogger(__name__)
GONE = 499  # nginx' code for a client that left before it was answered; nobody reads this answer
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
MODEL = "/v2/models/{name}"


def make_app(service: Service) -> Router:
    """Return the application that serves one engine."""
    inference, images, page = Inference(service), Images(service, HaarDetector()), Page()
    metrics = service.metrics
    posts: dict[str, Endpoint] = {
        f"{MODEL}/infer": inference.infer,  # first: routes are tried in order
        f"{MODEL}/versions/{{version}}/infer": inference.infer,
        "/predict": images.predict,
    }
    gets: dict[str, Endpoint] = {
        "/v2": inference.server,
        "/v2/health/live": inference.live,
        "/v2/health/ready": inference.ready,
        "/v2/models/stats": inference.statistics,  # of all models, before one's name
        "/": page.index,
        "/page/{file}": page.file,
        "/metrics": _metrics(metrics),
    }
    for prefix in (MODEL, f"{MODEL}/versions/{{version}}"):
        gets |= {
            prefix: inference.model,
            f"{prefix}/ready": inference.model_ready,
            f"{prefix}/stats": inference.statistics,
        }
    routes = [
        Route(path, _Answered(endpoint, path, metrics), methods=[method])
        for method, endpoints in (("POST", posts), ("GET", gets))
        for path, endpoint in endpoints.items()
    ]
    wrong = [
        Route(path, _Answered(_other_than(allowed), path, metrics))
        for allowed, endpoints in (("POST", posts), ("GET, HEAD", gets))
        for path in endpoints
    ]
    return Router([*routes, *wrong], default=_Answered(_unknown, "other", metrics), redirect_slashes=False)


class _Answered:
    """An endpoint with its errors turned into answers, and all answers counted."""

    def __init__(self, endpoint: Endpoint, route: str, metrics: Metrics) -> None:
        self._endpoint = endpoint
        self._route = route
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        self._metrics.requests.labels(self._route, response.status_code).inc()
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._endpoint(request)
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


async def _unknown(request: Request) -> Response:
    raise RefusedError(404, f"{request.scope['path'][:100]} is not served here")


def _other_than(allowed: str) -> Endpoint:
    async def refuse(request: Request) -> Response:
        response = responses.error(
            405, f"{request.scope['path'][:100]} takes {allowed}, got {request.method}"
        )
        response.headers["Allow"] = allowed
        return response

    return refuse


def _metrics(metrics: Metrics) -> Endpoint:
    async def render(_: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": PROMETHEUS})

    return render
