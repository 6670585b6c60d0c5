"""Responses to requests that failed or were refused."""

from __future__ import annotations

import json

from starlette.responses import Response

from fer_engine.serve.limits import RETRY_AFTER, RefusedError


def error_body(text: str) -> bytes:
    """Return the JSON of an error in the form of the Open Inference Protocol."""
    return json.dumps({"error": text}).encode()


def error(status: int, text: str) -> Response:
    """Return the response to a request that failed."""
    return Response(error_body(text), status, media_type="application/json")


def refusal(refused: RefusedError) -> Response:
    """Return the response to a refused request, with Retry-After if the request may succeed later."""
    response = error(refused.status, str(refused))
    if refused.retry:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response
