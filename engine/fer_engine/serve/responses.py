"""Answers to requests that are not served."""

from __future__ import annotations

import json

from starlette.responses import Response

from fer_engine.serve.limits import RETRY_AFTER, RefusedError


def error_body(text: str) -> bytes:
    """Return the JSON of an error, as the Open Inference Protocol has it."""
    return json.dumps({"error": text}).encode()


def error(status: int, text: str) -> Response:
    """Return the answer to a request that failed."""
    return Response(error_body(text), status, media_type="application/json")


def refusal(refused: RefusedError) -> Response:
    """Return the answer to a refused request, with the time after which to come again if that helps."""
    answer = error(refused.status, str(refused))
    if refused.retry:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer
