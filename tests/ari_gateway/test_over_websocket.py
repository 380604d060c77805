"""Requests over the events WebSocket: who goes there, and what becomes of an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from ari_gateway.ari import errors
from ari_gateway.ari import events as ev
from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers
from ari_gateway.ari.over_websocket import WebSocketTransport
from ari_gateway.ari.rest import AriAddress, AriRest, Originate
from ari_gateway.ari.transport import Answer, Request
from gateway_support.over_http import OverHttp
from support.timing import eventually

pytestmark = pytest.mark.real_time

Json: TypeAlias = dict[str, Any]
Reply: TypeAlias = Callable[[Json], Json | None]

PING = "asterisk/ping"
TALKING = {"type": "ChannelTalkingStarted", "channel": {"id": "c1"}}


def response(asked: Json, status: int = 204, **more: Any) -> Json:
    """Answer a request as Asterisk does."""
    return {
        "type": "RESTResponse",
        "transaction_id": "",
        "request_id": asked["request_id"],
        "status_code": status,
        "reason_phrase": "as the test wants",
        "uri": asked["uri"],
        **more,
    }


class Asterisk:
    """Both sides of Asterisk's network: a real WebSocket, and HTTP as a function.

    Attributes:
        asked: requests that came over the WebSocket, the first question of a link left out.
        over_http: method and path of those that came over HTTP.
        reply: gives the answer to a request; None leaves it without one.
        answers_ping: whether it understands requests on the WebSocket at all.
    """

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.over_http: list[tuple[str, str]] = []
        self.reply: Reply = response
        self.answers_ping = True
        self.sockets: list[ServerConnection] = []

    async def talk(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        self.sockets.append(socket)
        async for frame in socket:
            asked = orjson.loads(frame)
            if asked["uri"] == PING:
                answer = response(asked, 200) if self.answers_ping else None
            else:
                self.asked.append(asked)
                answer = self.reply(asked)
            if answer is not None:
                await self.send(answer)

    async def send(self, message: Json) -> None:
        """Send something to the newest connection."""
        await self.sockets[-1].send(orjson.dumps(message), text=True)

    def serve_http(self, request: Request) -> Answer:
        """Answer one request over HTTP."""
        self.over_http.append((request.method, request.path.partition("?")[0]))
        return Answer(200, "OK", b'{"status": {"startup_time": "today"}}', is_json=True)


class Linked:
    """A client and its link.

    Attributes:
        on_up: run at each new link.
        events: what arrived.
    """

    def __init__(self, asterisk: Asterisk, ari: AriRest) -> None:
        self.asterisk = asterisk
        self.ari = ari
        self.on_up: Callable[[], Awaitable[None]] = self._nothing
        self.events: asyncio.Queue[ev.Event] = asyncio.Queue()
        self.ups = self.downs = 0

    async def _nothing(self) -> None:
        return

    async def up(self) -> None:
        """Look, as the test wants."""
        await self.on_up()
        self.ups += 1

    def down(self) -> None:
        """Count a loss."""
        self.downs += 1

    async def uses_websocket(self) -> None:
        """Wait until requests travel over the WebSocket."""

        async def does() -> bool:
            before = len(self.asterisk.asked)
            await self.ari.hang_up("probe")
            return len(self.asterisk.asked) > before

        await eventually(does)
        self.asterisk.asked.clear()
        self.asterisk.over_http.clear()


@contextlib.asynccontextmanager
async def linked(
    asterisk: Asterisk,
    *,
    on_up: Callable[[AriRest], Awaitable[None]] | None = None,
    timeout_s: float = 5.0,
    ping_after_s: float = 5.0,
) -> AsyncIterator[Linked]:
    """Run a client and its link against a server."""
    async with (
        serve(asterisk.talk, "127.0.0.1", 0, max_size=65_535) as listening,
        AriRest(
            AriAddress("http://asterisk/ari", "u", "p", "app", timeout_s),
            http=OverHttp(asterisk.serve_http),
        ) as ari,
    ):
        port = listening.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/ari/events"
        address = LinkAddress(url, "u", "p", "app", 2, ping_after_s)
        world = Linked(asterisk, ari)
        if on_up is not None:
            world.on_up = lambda: on_up(ari)
        handlers = LinkHandlers(world.up, world.down, world.events.put_nowait)
        task = asyncio.create_task(EventLink(address, handlers, ari.websocket).run())
        try:
            yield world
        finally:
            task.cancel()
            await asyncio.wait({task})


def originate(sent_within_s: float | None = None) -> Originate:
    """Describe a call."""
    return Originate("id-1", "PJSIP/1@trunk", "outbound,id-1", 30, "021", {}, sent_within_s)


async def test_requests_travel_over_the_websocket_once_asterisk_has_answered_there() -> None:
    """A request goes over the socket in Asterisk's form, and its answer finds the one who asked."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        await world.ari.originate(originate(sent_within_s=1))
        (asked,) = asterisk.asked
        assert (asked["type"], asked["method"], asked["uri"]) == ("RESTRequest", "POST", "channels")
        assert asked["content_type"] == "application/json"
        assert orjson.loads(asked["message_body"])["channelId"] == "id-1"
        asterisk.reply = lambda asked: response(asked, 200, message_body='[{"name":"r 1"}]')
        await world.ari.hang_up("a/b")
        assert asterisk.asked[-1]["uri"] == "channels/a%2Fb?reason=normal"
        assert asterisk.over_http == []
        ids = [asked["request_id"] for asked in asterisk.asked]
        assert len(set(ids)) == len(ids)


async def test_what_may_hold_up_others_goes_over_http() -> None:
    """Answer, variables, addChannel, files and long lists never wait on the socket."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        await world.ari.answer("c")
        await world.ari.set_variable("c", "x", "y")
        await world.ari.add_to_bridge("b", "c")
        await world.ari.recording_file("r")
        assert asterisk.asked == []
        assert [path for _, path in asterisk.over_http] == [
            "/channels/c/answer",
            "/channels/c/variable",
            "/bridges/b/addChannel",
            "/recordings/stored/r/file",
        ]


async def test_an_asterisk_that_says_nothing_there_is_asked_over_http() -> None:
    """An older Asterisk ignores requests on the socket: all go over HTTP, and nothing waits."""
    asterisk = Asterisk()
    asterisk.answers_ping = False
    async with linked(asterisk) as world:
        await eventually(lambda: bool(asterisk.sockets))
        await asterisk.send(TALKING)
        await asyncio.wait_for(world.events.get(), 5)
        await world.ari.hang_up("c")
        assert asterisk.asked == []
        assert asterisk.over_http == [("DELETE", "/channels/c")]


async def test_a_frame_asterisk_would_not_take_goes_over_http() -> None:
    """A request that could make a frame over 64 KiB is not sent over the socket."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        quotes = "\\" * 20_000  # doubled once as JSON, and once more as text in JSON
        await world.ari.play("channels/c", quotes, "p")
        assert asterisk.over_http == [("POST", "/channels/c/play")]
        assert world.downs == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, errors.AriNotFound),
        (409, errors.AriConflict),
        (500, errors.AriRefused),
        (503, errors.AriUnavailable),
    ],
)
async def test_refusals_there_mean_what_they_mean_over_http(
    status: int, error: type[errors.AriError]
) -> None:
    """A refusal over the socket becomes the same error; a 404 there is a thing that is gone."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        asterisk.reply = lambda asked: response(asked, status, message_body='{"message":"no"}')
        with pytest.raises(error):
            await world.ari.create_bridge("b")


async def test_an_answer_lost_with_the_link_is_an_unknown_outcome() -> None:
    """A request under way when the link drops is AriUnavailable at once, and sent only once."""
    asterisk = Asterisk()
    asterisk_asked = asyncio.Event()

    def keep(asked: Json) -> None:
        if asked["uri"] == "channels":
            asterisk_asked.set()

    async with linked(asterisk) as world:
        await world.uses_websocket()
        asterisk.reply = keep
        placing = asyncio.create_task(world.ari.originate(originate()))
        await asyncio.wait_for(asterisk_asked.wait(), 5)
        asterisk.sockets[-1].transport.abort()
        with pytest.raises(errors.AriUnavailable) as lost:
            await asyncio.wait_for(placing, 3)
        assert not isinstance(lost.value, errors.AriNotSent)
        assert [asked["uri"] for asked in asterisk.asked] == ["channels"]
        assert asterisk.over_http == []


async def test_without_a_link_requests_go_over_http() -> None:
    """While the socket is away a request is not kept back, and the next link carries them again."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        await asterisk.sockets[-1].close()
        await eventually(lambda: world.downs == 1)
        await world.ari.hang_up("c")
        assert asterisk.over_http == [("DELETE", "/channels/c")]
        await world.uses_websocket()
        assert world.ups == 2


async def test_every_link_is_asked_anew() -> None:
    """That one link carried requests says nothing of the next: Asterisk may be another by then."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        asterisk.answers_ping = False
        await asterisk.sockets[-1].close()
        await eventually(lambda: world.ups == 2)
        await world.ari.hang_up("c")
        assert asterisk.asked == []


async def test_a_socket_that_is_closing_takes_nothing() -> None:
    """From the moment the socket is closed, before the link notices, requests go another way."""
    asterisk = Asterisk()
    request = Request("DELETE", "/channels/c", None, timeout_s=1)
    async with serve(asterisk.talk, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{port}", decode_text=False) as socket,
        ):
            transport = WebSocketTransport()
            await transport.connected(socket)
            assert not transport.takes(request)
            transport.answered(orjson.loads((await socket.receive()).data))
            assert transport.takes(request)
            await socket.close()
            assert not transport.takes(request)


async def test_a_late_answer_is_dropped() -> None:
    """An answer after its request was given up disturbs nothing, nor does one to no request."""
    asterisk = Asterisk()
    async with linked(asterisk, timeout_s=0.2) as world:
        await world.uses_websocket()
        asterisk.reply = lambda _: None
        with pytest.raises(errors.AriUnavailable):
            await world.ari.originate(originate())
        (late,) = asterisk.asked
        asterisk.reply = response
        await asterisk.send(response(late, 500))
        await asterisk.send(response({"request_id": "nobody's", "uri": ""}))
        await asterisk.send({"type": "RESTResponse", "request_id": "1", "status_code": "odd"})
        await world.ari.create_bridge("b")
        assert world.downs == 0


async def test_an_overdue_answer_sends_the_others_over_http() -> None:
    """Asterisk serves a socket in turn: nothing is put behind a request that is overdue."""
    asterisk = Asterisk()
    async with linked(asterisk) as world:
        await world.uses_websocket()
        asterisk.reply = lambda _: None
        stuck = asyncio.create_task(world.ari.create_bridge("slow"))
        await eventually(lambda: len(asterisk.asked) == 1)
        await asyncio.sleep(1.1)
        await world.ari.hang_up("c")
        assert asterisk.over_http == [("DELETE", "/channels/c")]
        asterisk.reply = response
        await asterisk.send(response(asterisk.asked[0]))
        await asyncio.wait_for(stuck, 5)
        await world.ari.hang_up("c")
        assert len(asterisk.asked) == 2


async def test_looking_at_a_new_link_may_ask_over_it_while_events_wait() -> None:
    """Requests of `on_up` are answered though its events wait, and those come after, in order."""
    asterisk = Asterisk()
    seen: list[int] = []

    async def look(ari: AriRest) -> None:
        await asterisk.send(TALKING)
        await asterisk.send({**TALKING, "channel": {"id": "c2"}})

        async def over_the_socket() -> bool:
            await ari.hang_up("c")
            return bool(asterisk.asked)

        await eventually(over_the_socket)
        seen.append(len(asterisk.asked))

    async with linked(asterisk, on_up=look) as world:
        first = await asyncio.wait_for(world.events.get(), 5)
        second = await asyncio.wait_for(world.events.get(), 5)
        assert (first.channel_id, second.channel_id) == ("c1", "c2")
        assert seen
        assert world.ups == 1


async def test_a_link_that_drops_while_it_is_looked_at_is_made_again() -> None:
    """When the socket goes during `on_up`, that is ended, counts as a loss, and begins anew."""
    asterisk = Asterisk()
    begun = 0

    async def hang_at_first(_: AriRest) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            asterisk.sockets[-1].transport.abort()
            await asyncio.Event().wait()

    async with linked(asterisk, on_up=hang_at_first) as world:
        await eventually(lambda: world.ups == 1)
        assert (begun, world.downs) == (2, 1)


async def test_a_stalled_link_is_noticed() -> None:
    """A socket that stays open and answers no ping is lost, and its requests with it."""
    asterisk = Asterisk()
    async with linked(asterisk, ping_after_s=0.2) as world:
        await world.uses_websocket()
        asterisk.sockets[-1].transport.pause_reading()
        with pytest.raises(errors.AriUnavailable):
            await asyncio.wait_for(world.ari.originate(originate()), 4)
        assert world.downs == 1
        asterisk.sockets[0].transport.abort()


def test_a_stall_is_noticed_within_twenty_seconds() -> None:
    """By default silence and patience, each rounded up to a second, stay below twenty seconds."""
    address = LinkAddress("ws://asterisk", "u", "p", "app")
    assert (address.ping_after_s + 1) + (address.ping_after_s / 2 + 1) < 20
