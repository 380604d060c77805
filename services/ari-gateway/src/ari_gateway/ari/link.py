"""The WebSocket that carries Asterisk's events, kept alive for the life of the process.

Events of a time without a link are lost, not queued. So every connection begins with `on_up`,
which reads what is true now, and every end of one, a clean close too, is a loss.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from ari_gateway.ari.errors import AriEventInvalid, AriUnauthorized, AriUnavailable
from ari_gateway.ari.events import Event, parse
from ari_gateway.metrics import ARI_EVENTS, ASTERISK_LINK_UP

log = structlog.get_logger(__name__)

_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 2.0


@dataclass(frozen=True)
class LinkAddress:
    """Where the events are and who we are there.

    Attributes:
        url: for example `ws://127.0.0.1:8088/ari/events`.
        timeout_s: longest wait for a connection, seconds.
    """

    url: str
    username: str
    password: str
    app: str
    timeout_s: float = 10.0


@dataclass(frozen=True)
class LinkHandlers:
    """Who is told.

    Attributes:
        on_up: a link is there; read what is true now. Events wait until it returns.
        on_down: the link is lost.
        on_event: one event, in order.
    """

    on_up: Callable[[], Awaitable[None]]
    on_down: Callable[[], None]
    on_event: Callable[[Event], None]


class EventLink:
    """Connects, reads, reconnects."""

    def __init__(self, address: LinkAddress, handlers: LinkHandlers) -> None:
        self._address = address
        self._handlers = handlers

    async def run(self) -> None:
        """Keep the link for ever.

        Raises:
            AriUnauthorized: Asterisk refuses the password; trying again would not help.
        """
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                async with await self._connect() as socket:
                    wait_s = _RETRY_FIRST_S
                    await self._serve(socket)
            except (AriUnavailable, WebSocketException, OSError) as error:
                log.warning("no link to Asterisk", reason=type(error).__name__)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _RETRY_MAX_S)

    async def _serve(self, socket: ClientConnection) -> None:
        """Read one connection until it ends."""
        try:
            await self._handlers.on_up()
            ASTERISK_LINK_UP.set(1)
            log.info("linked to Asterisk", app=self._address.app)
            async for frame in socket:
                self._deliver(frame)
            log.warning("Asterisk closed the link")
        finally:
            ASTERISK_LINK_UP.set(0)
            self._handlers.on_down()

    def _deliver(self, frame: str | bytes) -> None:
        """Hand one frame on; one that is not understood is counted and left."""
        try:
            event = parse(orjson.loads(frame))
        except (orjson.JSONDecodeError, AriEventInvalid, AttributeError) as error:
            ARI_EVENTS.labels("invalid").inc()
            log.warning("an event was not understood", reason=type(error).__name__)
            return
        ARI_EVENTS.labels(type(event).__name__ if event else "other").inc()
        if event is not None:
            self._handlers.on_event(event)

    async def _connect(self) -> ClientConnection:
        address = self._address
        token = base64.b64encode(f"{address.username}:{address.password}".encode()).decode()
        url = f"{address.url}?{urlencode({'app': address.app, 'subscribeAll': 'false'})}"
        try:
            return await connect(
                url,
                additional_headers={"Authorization": f"Basic {token}"},
                compression=None,
                proxy=None,
                max_size=None,
                open_timeout=address.timeout_s,
                ping_interval=5,
                ping_timeout=10,
                close_timeout=0.5,
            )
        except InvalidStatus as error:
            if error.response.status_code in (401, 403):
                raise AriUnauthorized("refused at the events WebSocket") from error
            raise AriUnavailable(f"WebSocket answered {error.response.status_code}") from error
        except (InvalidHandshake, TimeoutError) as error:
            raise AriUnavailable(type(error).__name__) from error
