"""What Asterisk's refusals mean, by status, and why no answer came."""

from __future__ import annotations

import aiohttp
import orjson

from ari_gateway.ari.errors import (
    AriConflict,
    AriError,
    AriNotFound,
    AriRefused,
    AriUnauthorized,
    AriUnavailable,
)
from ari_gateway.ari.transport import Answer


def why_no_answer(error: Exception) -> str:
    """Say in one line why a request, or a link, came to nothing."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    if isinstance(error, aiohttp.ClientResponseError):  # its own words quote the answer, in lines
        return "what answers there does not speak HTTP"
    return f"{type(error).__name__} {error}".strip()


def refusal_of(answer: Answer) -> AriError:
    """Give the error an unsuccessful answer stands for."""
    message = _message(answer)
    match answer.status:
        case 401 | 403:
            return AriUnauthorized(message)
        case 404 if not answer.is_json:
            # Asterisk answers 404 in HTML while it starts, or when ARI is not enabled.
            return AriUnavailable(
                "ARI is not there (404): Asterisk is starting, or ari.conf is off"
            )
        case 404:
            return AriNotFound(message)
        case 409:
            return AriConflict(message)
        case 503:
            return AriUnavailable(message)
        case status:
            return AriRefused(status, message)


def _message(answer: Answer) -> str:
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return answer.reason
    return str(body.get("message") or body.get("error") or answer.reason)
