"""The events WebSocket: authorised, reconnected, and never trusted to have told everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriUnauthorized
from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers

pytestmark = pytest.mark.real_time

TALKING = {"type": "ChannelTalkingStarted", "channel": {"id": "c1"}}


class Server:
    """Asterisk's side of the WebSocket."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refuse: HTTPStatus | None = None
        self.send: list[str] = [json.dumps(TALKING)]
        self.then_close = False

    def check(self, socket: ServerConnection, request: Request) -> Response | None:
        """Look at the handshake."""
        self.requests.append(request)
        return socket.respond(self.refuse, "") if self.refuse else None

    async def talk(self, socket: ServerConnection) -> None:
        """Send what the test wants."""
        for frame in self.send:
            await socket.send(frame)
        if not self.then_close:
            await socket.wait_closed()


class Heard:
    """What the link told."""

    def __init__(self) -> None:
        self.ups = self.downs = 0
        self.events: asyncio.Queue[ev.Event] = asyncio.Queue()

    async def up(self) -> None:
        """Count a connection."""
        self.ups += 1

    def down(self) -> None:
        """Count a loss."""
        self.downs += 1


@asynccontextmanager
async def linked(server: Server) -> AsyncIterator[tuple[Heard, asyncio.Task[None]]]:
    """Run a link against a server."""
    heard = Heard()
    async with serve(server.talk, "127.0.0.1", 0, process_request=server.check) as listening:
        port = listening.sockets[0].getsockname()[1]
        address = LinkAddress(f"ws://127.0.0.1:{port}/ari/events", "salehi", "pass", "app1", 2)
        handlers = LinkHandlers(heard.up, heard.down, heard.events.put_nowait)
        task = asyncio.create_task(EventLink(address, handlers).run())
        try:
            yield heard, task
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_the_password_is_in_the_header() -> None:
    """The password travels in the Authorization header and never in the URL."""
    server = Server()
    async with linked(server) as (heard, _):
        assert await asyncio.wait_for(heard.events.get(), 5) == ev.TalkingStarted("c1")
    request = server.requests[0]
    assert request.headers["Authorization"] == "Basic c2FsZWhpOnBhc3M="
    assert request.path == "/ari/events?app=app1&subscribeAll=false"


async def test_a_clean_close_is_a_loss() -> None:
    """When Asterisk closes the socket politely the link is down, and is made again."""
    server = Server()
    server.then_close = True
    async with linked(server) as (heard, _):
        for _ in range(2):
            await asyncio.wait_for(heard.events.get(), 5)
    assert heard.ups >= 2
    assert heard.downs >= 1


async def test_an_odd_frame_is_left_and_the_next_is_read() -> None:
    """Frames that are no event, or not even JSON, are skipped; the one behind them arrives."""
    server = Server()
    server.send = ["not json", "[1]", '{"type": "StasisStart"}', json.dumps(TALKING)]
    async with linked(server) as (heard, _):
        assert await asyncio.wait_for(heard.events.get(), 5) == ev.TalkingStarted("c1")
        assert heard.ups == 1


async def test_a_refused_password_is_final() -> None:
    """A refused password ends the link: trying again would not help."""
    server = Server()
    server.refuse = HTTPStatus.UNAUTHORIZED
    async with linked(server) as (_, task):
        with pytest.raises(AriUnauthorized):
            await asyncio.wait_for(asyncio.shield(task), 5)


async def test_a_booting_asterisk_is_waited_for() -> None:
    """While Asterisk answers 503 the link tries again, and connects when it is ready."""
    server = Server()
    server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
    async with linked(server) as (heard, _):
        while not server.requests:
            await asyncio.sleep(0.01)
        server.refuse = None
        await asyncio.wait_for(heard.events.get(), 5)
