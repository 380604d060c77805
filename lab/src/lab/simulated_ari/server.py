"""The network side: HTTP and the events WebSocket, as one ASGI application."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import orjson

from lab.simulated_ari import events
from lab.simulated_ari.answers import DONE, Answer, Answers
from lab.simulated_ari.asterisk import SimulatedAsterisk
from lab.simulated_ari.people import People
from lab.simulated_ari.reactions import Reactions

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LONGEST_FRAME_BYTES = 65_535
_PREFIX = "/ari/"
_FIGURES = "/_figures"


class Frames:
    """Frames on their way to one client, in order."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._some = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Add one."""
        self._waiting.append(frame)
        self._some.set()

    async def send_all(self, send: Send) -> None:
        """Send what is added, for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                text = self._waiting.popleft().decode()
                await send({"type": "websocket.send", "text": text})


class SimulatedAri:
    """ARI of one application. The newest WebSocket gets the events.

    Attributes:
        over_websocket: how many requests came over the WebSocket; others came over HTTP.
    """

    def __init__(self, people: People, *, username: str, password: str) -> None:
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._authorization = f"Basic {token}".encode()
        self._client: Frames | None = None
        self.asterisk = SimulatedAsterisk(people, self._tell)
        self.reactions = Reactions()
        self._answers = Answers(self.asterisk)
        self.over_websocket = 0
        self.over_http = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or request."""
        if scope["type"] == "http" and scope["path"] == _FIGURES:
            await self._show_figures(scope, send)
        elif (b"authorization", self._authorization) not in scope["headers"]:
            await self._refuse(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._link(receive, send)
        else:
            await self._request(scope, receive, send)

    def _tell(self, kind: str, channel_id: str, news: dict[str, Any]) -> None:
        """Send an event; without a client it is lost."""
        if self._client is None:
            return
        message = {"type": kind, "timestamp": events.now(), **news}
        frame = orjson.dumps({**message, "asterisk_id": "simulated", "application": "salehi"})
        self.reactions.told(kind, channel_id)
        self._client.put(frame)

    async def _answer(self, method: str, uri: str, content: bytes) -> Answer:
        path = uri.partition("?")[0]
        self.reactions.commanded(self._answers.channel_of(path))
        return await self._answers.answer(method, path, content)

    # the events WebSocket

    async def _link(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if self._client is not None:
            self._tell("ApplicationReplaced", "", {})
        frames = self._client = Frames()
        sending = asyncio.create_task(frames.send_all(send))
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                frames.put(await self._rest_response(orjson.loads(message["text"])))
        finally:
            if self._client is frames:
                self._client = None
            sending.cancel()
            await asyncio.wait({sending})

    async def _rest_response(self, asked: dict[str, Any]) -> bytes:
        self.over_websocket += 1
        content = asked.get("message_body", "").encode()
        answer = await self._answer(asked["method"], asked["uri"], content)
        if answer.file is not None:
            answer = Answer(406, "Not Acceptable.  Use HTTP GET")
        response = {
            "type": "RESTResponse",
            "transaction_id": "",
            "request_id": asked.get("request_id", ""),
            "status_code": answer.status,
            "reason_phrase": answer.reason,
            "uri": asked["uri"],
        }
        if answer.body is not None:
            response["content_type"] = "application/json"
            response["message_body"] = orjson.dumps(answer.body).decode()
        return orjson.dumps(response)

    # HTTP

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.over_http += 1
        content, more = b"", True
        while more:
            message = await receive()
            content += message.get("body", b"")
            more = message.get("more_body", False)
        uri = scope["raw_path"].decode().removeprefix(_PREFIX)
        await _respond(send, await self._answer(scope["method"], uri, content))

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            await _respond(send, Answer(401, "Unauthorized", {"error": "Authentication required"}))

    async def _show_figures(self, scope: Scope, send: Send) -> None:
        """Show what was counted; DELETE begins the counting anew."""
        if scope["method"] == "DELETE":
            self.reactions.forget()
            await _respond(send, DONE)
            return
        asterisk = self.asterisk
        figures = {
            "originated": asterisk.originated,
            "channels": len(asterisk.channels),
            "most_channels": asterisk.most_channels,
            "bridges": len(asterisk.bridges),
            "stored_recordings": len(asterisk.stored),
            "requests_over_websocket": self.over_websocket,
            "requests_over_http": self.over_http,
            "reactions": self.reactions.figures(),
        }
        await _respond(send, Answer(200, "OK", figures))


async def _respond(send: Send, answer: Answer) -> None:
    kind, body = b"application/json", answer.file or b""
    if answer.file is not None:
        kind = b"audio/wav"
    elif answer.body is not None:
        body = orjson.dumps(answer.body)
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
