"""Answers as JSON: those of the structs, and refusals."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from .refusal import ErrorAnswer, RefusedError

JSON = "application/json"


def json_response(answer: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Returns a struct as the JSON body of a response."""
    return Response(msgspec.json.encode(answer), status, headers, JSON)


def refusal_response(refused: RefusedError) -> Response:
    """Returns the response to a request that is not served."""
    headers: dict[str, str] = {}
    if refused.retry_seconds is not None:
        headers["Retry-After"] = str(refused.retry_seconds)
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_response(ErrorAnswer(refused.failure), refused.status, headers)
