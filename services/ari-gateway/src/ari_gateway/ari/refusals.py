"""What Asterisk's refusals mean, by status."""

from __future__ import annotations

import httpx
import orjson

from ari_gateway.ari.errors import (
    AriConflict,
    AriError,
    AriNotFound,
    AriRefused,
    AriUnauthorized,
    AriUnavailable,
)


def refusal_of(response: httpx.Response) -> AriError:
    """Give the error an unsuccessful answer stands for."""
    message = _message(response)
    match response.status_code:
        case 401 | 403:
            return AriUnauthorized(message)
        case 404 if not response.headers.get("content-type", "").startswith("application/json"):
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


def _message(response: httpx.Response) -> str:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return response.reason_phrase
    return str(body.get("message") or body.get("error") or response.reason_phrase)
