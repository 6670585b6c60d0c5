"""The application: routes, and what every request gets whatever its route."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fer_engine.errors import BackendError, FerError
from fer_engine.serve import answer
from fer_engine.serve.inference import Inference
from fer_engine.serve.limits import RefusedError
from fer_engine.serve.metrics import Metrics
from fer_engine.serve.page import Page
from fer_engine.serve.picture import Pictures
from fer_engine.serve.service import Service
from fer_engine.vision.detector import HaarDetector

Endpoint = Callable[[Request], Awaitable[Response]]

LOG = logging.getLogger(__name__)
GONE = 499  # nginx' code for a client that left before it was answered; nobody reads this answer
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def make_app(service: Service) -> Starlette:
    """Return the application that serves one engine."""
    inference, pictures, page = Inference(service), Pictures(service, HaarDetector()), Page()
    metrics = service.metrics
    model = "/v2/models/{name}"
    endpoints: list[tuple[str, str, Endpoint]] = [
        ("POST", f"{model}/infer", inference.infer),  # first: routes are tried in order
        ("POST", f"{model}/versions/{{version}}/infer", inference.infer),
        ("POST", "/predict", pictures.predict),
        ("GET", "/v2", inference.server),
        ("GET", "/v2/health/live", inference.live),
        ("GET", "/v2/health/ready", inference.ready),
        ("GET", "/", page.index),
        ("GET", "/page/{file}", page.file),
        ("GET", "/metrics", _metrics(metrics)),
    ]
    for prefix in (model, f"{model}/versions/{{version}}"):
        endpoints += [
            ("GET", prefix, inference.model),
            ("GET", f"{prefix}/ready", inference.model_ready),
            ("GET", f"{prefix}/stats", inference.statistics),
        ]

    async def unrouted(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        metrics.requests.labels("other", status).inc()
        response = answer.error(status, f"{request.method} {request.url.path[:100]} is not served here")
        response.headers.update(getattr(error, "headers", None) or {})  # which methods are allowed
        return response

    return Starlette(
        routes=[
            Route(path, _answered(endpoint, path, metrics), methods=[method])
            for method, path, endpoint in endpoints
        ],
        exception_handlers={HTTPException: unrouted},
    )


def _answered(endpoint: Endpoint, route: str, metrics: Metrics) -> Endpoint:
    """Return the endpoint with its errors turned into answers, and all answers counted."""

    async def answered(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except RefusedError as refused:
            response = answer.refusal(refused)
        except BackendError as error:
            LOG.error("%s: %s", route, error)  # noqa: TRY400 - the text says all, and nothing of the request
            response = answer.error(500, str(error))
        except FerError as error:
            response = answer.error(400, str(error))
        except ClientDisconnect:
            response = Response(status_code=GONE)
        except Exception:
            LOG.exception("%s failed", route)
            response = answer.error(500, "the server failed on this request; its log says why")
        metrics.requests.labels(route, response.status_code).inc()
        return response

    return answered


def _metrics(metrics: Metrics) -> Endpoint:
    async def render(_: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": PROMETHEUS})

    return render
