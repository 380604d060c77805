"""The fake panel without a network: for tests with more requests than sockets are quick enough."""

from __future__ import annotations

import httpx

from reporter_support.web import Answer, Request, WebServer


class PanelTransport(httpx.AsyncBaseTransport):
    """Hands requests to a server's `answer`; a lost answer is a read that timed out."""

    def __init__(self, server: WebServer) -> None:
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the fake."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(request.method, request.url.path, headers, await request.aread())
        answer: Answer = self._server.answer(asked)
        if answer.lost:
            raise httpx.ReadTimeout("lost on the way back", request=request)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
