"""What can go wrong between a client and a service, on demand."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_HTML_PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"
_OVERSIZED_BYTES = 8 * 1024 * 1024


class FaultKind(StrEnum):
    """One way to fail."""

    STATUS = "status"  # `status`, with `body`
    SLOW = "slow"  # the right answer, `seconds` late
    HANG = "hang"  # no answer until the client leaves
    RATE_LIMIT = "rate_limit"  # 429 with Retry-After `retry_after_s`
    UNAUTHORIZED = "unauthorized"  # 401
    NO_CREDIT = "no_credit"  # in the form `variant` of the service
    MALFORMED = "malformed"  # `status`, content type JSON, cut off in the middle
    HTML = "html"  # `status`, an HTML page
    OVERSIZED = "oversized"  # 200 and 8 MiB of JSON
    RESET = "reset"  # half an answer, then the connection is gone
    EMPTY = "empty"  # `status` and no body


_USUAL_STATUS = {
    FaultKind.STATUS: 500,
    FaultKind.HTML: 502,
    FaultKind.RATE_LIMIT: 429,
    FaultKind.UNAUTHORIZED: 401,
}


@dataclass(frozen=True)
class Fault:
    """One fault to come.

    Attributes:
        kind: what goes wrong.
        times: how many requests it meets; None means every one until it is cleared.
        status: HTTP status where the kind has one; None means the usual one.
        seconds: how late a slow answer is.
        retry_after_s: value of Retry-After; None means no such header.
        variant: which form of refusal, for services that know several.
        body: text of a `status` fault.
    """

    kind: FaultKind
    times: int | None = None
    status: int | None = None
    seconds: float = 1.0
    retry_after_s: int | None = None
    variant: str = ""
    body: str = '{"error": "injected"}'

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Fault:
        """Makes a fault from JSON.

        Raises:
            ValueError: the kind is unknown.
            TypeError: there is a field no fault has.
        """
        return cls(**{**fields, "kind": FaultKind(fields["kind"])})

    def http_status(self) -> int:
        """Returns the status this fault answers with."""
        return self.status or _USUAL_STATUS.get(self.kind, 200)


class BrokenResponse(Response):
    """Promises more than it sends; the server then drops the connection in mid-body."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Sends the beginning."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"data": {', "more_body": True})


async def answer_with(fault: Fault, request: Request) -> Response | None:
    """Returns the faulty answer, or None where the right one is to follow."""
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind is FaultKind.HANG:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response()
    if fault.kind is FaultKind.RESET:
        return BrokenResponse()
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    body, media_type = _broken_body(fault)
    return Response(body, fault.http_status(), headers, media_type)


def _broken_body(fault: Fault) -> tuple[str, str]:
    match fault.kind:
        case FaultKind.HTML:
            return _HTML_PAGE, "text/html"
        case FaultKind.MALFORMED:
            return '{"data": {"data": {"te', "application/json"
        case FaultKind.OVERSIZED:
            return json.dumps({"data": "x" * _OVERSIZED_BYTES}), "application/json"
        case FaultKind.EMPTY:
            return "", "application/json"
        case _:
            return fault.body, "application/json"
