"""Sends requests by the way that suits each, and says in our words when Asterisk refuses."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import orjson

from ari_gateway.ari.errors import AriUnavailable
from ari_gateway.ari.over_websocket import WebSocketTransport
from ari_gateway.ari.refusals import refusal_of
from ari_gateway.ari.transport import Request, Transport
from ari_gateway.metrics import ari_request_seconds

# Plain, because a retry library costs as much on every request as the request itself.
_AGAIN_AFTER_S = (0.1, 0.3)


class Requests:
    """Requests go over the events WebSocket while that takes them, else over HTTP."""

    def __init__(
        self, http: Transport, websocket: WebSocketTransport | None, timeout_s: float
    ) -> None:
        """Send by these ways; each answer is waited for up to `timeout_s` seconds."""
        self._http = http
        self._websocket = websocket
        self._timeout_s = timeout_s

    async def once(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        sent_within_s: float | None = None,
        apart: bool = False,
    ) -> bytes:
        """Send one request once and give the answer's body.

        Args:
            method: the HTTP method.
            path: below the REST interface, quoted.
            body: what becomes the JSON body.
            sent_within_s: seconds after which it must not leave any more; None: no such limit.
            apart: it may take long on Asterisk's side, or its answer is large: it goes over a
                connection where nothing waits behind it.
        """
        content = orjson.dumps(body) if body is not None else None
        request = Request(method, path, content, self._timeout_s, sent_within_s, apart)
        began = time.perf_counter()
        if self._websocket is not None and self._websocket.takes(request):
            over, sending = "websocket", self._websocket.send(request)
        else:
            over, sending = "http", self._http.send(request)
        try:
            answer = await sending
        finally:
            ari_request_seconds(method, over).observe(time.perf_counter() - began)
        if answer.is_success:
            return answer.content
        raise refusal_of(answer)

    async def repeatable(self, method: str, path: str, *, apart: bool = False) -> bytes:
        """Send a request that may be sent twice; up to three times when no answer comes.

        Nothing is sent again once `timeout_s` has passed in all.
        """
        began_s = time.perf_counter()
        for again_after_s in _AGAIN_AFTER_S:
            try:
                return await self.once(method, path, apart=apart)
            except AriUnavailable:
                if time.perf_counter() - began_s > self._timeout_s:
                    raise
            await asyncio.sleep(again_after_s * random.uniform(0.5, 1.5))
        return await self.once(method, path, apart=apart)
