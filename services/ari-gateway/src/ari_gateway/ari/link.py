"""The WebSocket that carries Asterisk's events and most requests, kept for the life of the process.

Events of a time without a link are lost, not queued. So every connection begins with `on_up`,
which reads what is true now, and every end of one, a clean close too, is a loss.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import structlog

from ari_gateway.ari.errors import (
    AriEventInvalid,
    AriUnauthorized,
    AriUnavailable,
    AriUntrusted,
)
from ari_gateway.ari.events import Event, parse
from ari_gateway.ari.over_websocket import Socket, WebSocketTransport
from ari_gateway.ari.refusals import why_no_answer
from ari_gateway.ari.tls import untrusted
from ari_gateway.ari.transport import basic
from ari_gateway.metrics import ASTERISK_LINK_UP, ari_events

log = structlog.get_logger(__name__)

_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 2.0
_LONGEST_GOODBYE_S = 0.5
_FRAMES = {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}


@dataclass(frozen=True)
class LinkAddress:
    """Where the events are and who we are there.

    Attributes:
        url: for example `ws://127.0.0.1:8088/ari/events`.
        timeout_s: longest wait for a connection, seconds.
        ping_after_s: after so many seconds of silence Asterisk is asked for a sign of life; half
            as long after that, a link that is still silent is lost.
        tls: whose certificates are believed, where the url begins with wss.
    """

    url: str
    username: str
    password: str
    app: str
    timeout_s: float = 10.0
    ping_after_s: float = 8.0
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)


@dataclass(frozen=True)
class LinkHandlers:
    """Who is told.

    Attributes:
        on_up: a link is there; read what is true now. Events wait until it returns, answers to
            requests do not.
        on_down: the link is lost.
        on_event: one event, in order.
    """

    on_up: Callable[[], Awaitable[None]]
    on_down: Callable[[], None]
    on_event: Callable[[Event], None]


class EventLink:
    """Connects, reads, reconnects."""

    def __init__(
        self,
        address: LinkAddress,
        handlers: LinkHandlers,
        websocket: WebSocketTransport | None = None,
    ) -> None:
        """Make a link over which `websocket`, where one is given, sends its requests."""
        self._address = address
        self._handlers = handlers
        self._websocket = websocket
        self._waiting: list[Event] | None = None

    async def run(self) -> None:
        """Keep the link for ever.

        Raises:
            AriUnauthorized: Asterisk refuses the password; trying again would not help.
            AriUntrusted: its certificate is refused at the first try; later it may be renewed.
        """
        linked = False
        wait_s = _RETRY_FIRST_S
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                try:
                    async with await self._connect(session) as socket:
                        wait_s, linked = _RETRY_FIRST_S, True
                        await self._serve(socket)
                except AriUnavailable as error:
                    if isinstance(error, AriUntrusted) and not linked:
                        raise
                    log.warning("no link to Asterisk", reason=str(error))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)

    async def _serve(self, socket: Socket) -> None:
        """Read one connection until it ends."""
        self._waiting = []
        reading = asyncio.create_task(self._read(socket))
        try:
            if self._websocket is not None:
                await self._websocket.connected(socket)
            await self._catch_up(reading)
            await reading
            log.warning("Asterisk closed the link")
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            if not reading.cancelled():
                reading.exception()  # looked at: another failure may have been first
            if self._websocket is not None:
                self._websocket.lost()
            ASTERISK_LINK_UP.set(0)
            self._handlers.on_down()

    async def _catch_up(self, reading: asyncio.Task[None]) -> None:
        """Run `on_up` and hand on the events that came meanwhile; give up when the link ends."""
        catching_up = asyncio.ensure_future(self._handlers.on_up())
        try:
            await asyncio.wait({catching_up, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not catching_up.done():
                return
            catching_up.result()
        finally:
            catching_up.cancel()
            await asyncio.wait({catching_up})
        ASTERISK_LINK_UP.set(1)
        log.info("linked to Asterisk", app=self._address.app)
        waiting, self._waiting = self._waiting or [], None
        for event in waiting:
            self._handlers.on_event(event)

    async def _read(self, socket: Socket) -> None:
        while (message := await socket.receive()).type in _FRAMES:
            self._take(message.data)
        if message.type is not aiohttp.WSMsgType.CLOSE:
            raise AriUnavailable(f"the link was cut off {socket.exception() or ''}".rstrip())

    def _take(self, frame: bytes) -> None:
        """Hand one frame on; one that is not understood is counted and left."""
        try:
            message = orjson.loads(frame)
            if message["type"] == "RESTResponse":
                self._answered(message)
                return
            event = parse(message)
        except (orjson.JSONDecodeError, AriEventInvalid, KeyError, TypeError) as error:
            ari_events("invalid").inc()
            log.warning("an event was not understood", reason=type(error).__name__)
            return
        ari_events(type(event).__name__ if event else "other").inc()
        if event is None:
            return
        if self._waiting is None:
            self._handlers.on_event(event)
        else:
            self._waiting.append(event)

    def _answered(self, message: dict[str, Any]) -> None:
        if self._websocket is not None:
            self._websocket.answered(message)

    async def _connect(self, session: aiohttp.ClientSession) -> Socket:
        address = self._address
        url = f"{address.url}?{urlencode({'app': address.app, 'subscribeAll': 'false'})}"
        try:
            async with asyncio.timeout(address.timeout_s):
                return await session.ws_connect(
                    url,
                    headers={"Authorization": basic(address.username, address.password)},
                    ssl=address.tls,
                    max_msg_size=0,
                    heartbeat=address.ping_after_s,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_LONGEST_GOODBYE_S),
                    decode_text=False,
                )
        except aiohttp.ClientConnectorCertificateError as error:
            raise untrusted(error) from error
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise AriUnauthorized("refused at the events WebSocket") from error
            raise AriUnavailable(f"the events WebSocket was answered {error.status}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AriUnavailable(why_no_answer(error)) from error
