"""Requests over the WebSocket that carries the events, where Asterisk answers there.

Asterisk 20.14 and 22.4 brought this; an older one reads such a request and says nothing. So every
new link begins with a question, and requests travel here only once it is answered. Asterisk serves
the requests of one socket one after the other: what may take long goes another way.

Protocol: https://docs.asterisk.org, "ARI REST over WebSocket".
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import aiohttp
import orjson
import structlog

from ari_gateway.ari.errors import AriEventInvalid, AriUnavailable
from ari_gateway.ari.transport import Answer, Request

log = structlog.get_logger(__name__)

Socket: TypeAlias = aiohttp.ClientWebSocketResponse[Literal[False]]
"""An events WebSocket; its frames are bytes."""

# Asterisk closes the socket at a frame over 64 KiB; quoting JSON as text may double its length.
_LONGEST_CONTENT_BYTES = 30_000
# With an answer overdue for so long, whatever follows it on the socket would wait, too.
_OVERDUE_S = 1.0
_QUESTION = Request("GET", "/asterisk/ping", None, timeout_s=_OVERDUE_S)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request without an answer yet; nobody waits any more when `answer` is done."""

    at_s: float
    answer: asyncio.Future[Answer]


class WebSocketTransport:
    """Carries requests while a link is there on which Asterisk has answered one."""

    def __init__(self) -> None:
        self._socket: Socket | None = None
        self._answers = False
        self._ids = itertools.count(1)
        self._sent: dict[str, _Sent] = {}

    async def connected(self, socket: Socket) -> None:
        """Ask on a new link whether Asterisk answers requests there.

        Raises:
            AriUnavailable: it is lost already.
        """
        self._socket = socket
        frame, _ = self._write(_QUESTION)
        await _send(socket, frame)

    def lost(self) -> None:
        """The link is gone, and with it every answer that has not come."""
        self._socket, self._answers = None, False
        for sent in self._sent.values():
            if not sent.answer.done():
                sent.answer.set_exception(AriUnavailable("the link was lost before the answer"))
                sent.answer.exception()  # looked at: nobody waits for the question's
        self._sent.clear()

    def takes(self, request: Request) -> bool:
        """Whether a request sent now, without an await before, leaves over the socket at once."""
        return (
            self._answers
            and self._socket is not None
            and not self._socket.closed
            and not request.apart
            and len(request.content or b"") <= _LONGEST_CONTENT_BYTES
            and not self._overdue()
        )

    async def send(self, request: Request) -> Answer:
        """Send one request that this transport `takes`; see `Transport`."""
        if self._socket is None:
            raise AriUnavailable("no link to Asterisk")
        frame, answer = self._write(request)
        try:
            async with asyncio.timeout(request.timeout_s):
                await _send(self._socket, frame)
                return await answer
        except TimeoutError as error:
            raise AriUnavailable(f"no answer within {request.timeout_s:g} s") from error
        finally:
            answer.cancel()  # an answer that comes late finds nobody

    def answered(self, message: Mapping[str, Any]) -> None:
        """Take a `RESTResponse`; one that nobody waits for is dropped.

        Raises:
            AriEventInvalid: it is not of the documented shape.
        """
        answer = _read(message)
        sent = self._sent.pop(str(message.get("request_id")), None)
        if sent is None:
            return
        if not self._answers and answer.is_success:
            self._answers = True
            log.info("requests travel over the events WebSocket")
        if not sent.answer.done():
            sent.answer.set_result(answer)

    def _write(self, request: Request) -> tuple[bytes, asyncio.Future[Answer]]:
        """Write a request down under an id of its own; give the frame and its answer to come."""
        loop = asyncio.get_running_loop()
        request_id = str(next(self._ids))
        frame = {
            "type": "RESTRequest",
            "request_id": request_id,
            "method": request.method,
            "uri": request.path.removeprefix("/"),
        }
        if request.content is not None:
            frame["content_type"] = "application/json"
            frame["message_body"] = request.content.decode()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._sent[request_id] = _Sent(loop.time(), answer)
        return orjson.dumps(frame), answer

    def _overdue(self) -> bool:
        oldest = next(iter(self._sent.values()), None)
        now_s = asyncio.get_running_loop().time()
        return oldest is not None and now_s - oldest.at_s > _OVERDUE_S


async def _send(socket: Socket, frame: bytes) -> None:
    try:
        await socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
    except ConnectionError as error:
        raise AriUnavailable("the link was lost while sending") from error


def _read(message: Mapping[str, Any]) -> Answer:
    try:
        return Answer(
            status=int(message["status_code"]),
            reason=str(message.get("reason_phrase", "")),
            content=str(message.get("message_body", "")).encode(),
            is_json=True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AriEventInvalid(f"RESTResponse: {type(error).__name__} {error}") from error
