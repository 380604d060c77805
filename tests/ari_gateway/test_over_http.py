"""Requests over HTTP: what Asterisk gets, and what is known of a request without an answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ari_gateway.ari.errors import AriNotSent, AriUnavailable
from ari_gateway.ari.rest import AriAddress, AriRest, Originate
from support.ports import free_port

pytestmark = pytest.mark.real_time

ORIGINATE = Originate("id-1", "PJSIP/1@trunk", "", 30, "", {})
DONE = b"HTTP/1.1 204 No Content\r\nServer: Asterisk/22\r\nContent-Length: 0\r\n\r\n"
INFO = b'{"status": {"startup_time": "today"}}'
TODAY = b"HTTP/1.1 200 OK\r\nContent-type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(INFO),
    INFO,
)


@dataclass
class Asterisk:
    """Asterisk's HTTP server.

    Attributes:
        answers: what is sent for one request after the other; after one that is not whole the
            connection is closed, without one nothing comes.
        heads: the head of every request that came, from all connections.
        connections: how many were made.
    """

    answers: list[bytes]
    port: int = 0
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                if self.answers:
                    answer = self.answers.pop(0)
                    writer.write(answer)
                    if answer not in {DONE, TODAY}:
                        return
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    *answers: bytes, timeout_s: float = 5.0, max_connections: int = 100
) -> AsyncIterator[tuple[Asterisk, AriRest]]:
    """Serve, and connect a client that has no WebSocket."""
    asterisk = Asterisk(list(answers))
    server = await asyncio.start_server(asterisk.serve, "127.0.0.1", 0)
    asterisk.port = server.sockets[0].getsockname()[1]
    address = AriAddress(
        f"http://127.0.0.1:{asterisk.port}/ari/",
        "salehi",
        "hush",
        "app",
        timeout_s,
        max_connections,
        over_websocket=False,
    )
    async with server, AriRest(address) as ari:
        yield asterisk, ari


async def test_the_password_is_in_the_header_and_the_path_stays_as_it_is() -> None:
    """Asterisk gets the quoted path, the password as a header, and JSON named so; no cookie."""
    async with serving(DONE, DONE) as (asterisk, ari):
        await ari.delete_recording("../x y")
        await ari.originate(ORIGINATE)
    deleting, dialling = asterisk.heads
    assert deleting.startswith("DELETE /ari/recordings/stored/..%2Fx%20y HTTP/1.1\r\n")
    assert "Authorization: Basic c2FsZWhpOmh1c2g=" in deleting
    assert "Content-Type" not in deleting
    assert "Content-Type: application/json\r\n" in dialling
    assert asterisk.connections == 1


async def test_a_connection_lost_before_the_answer_is_an_unknown_outcome() -> None:
    """An originate whose connection is closed was perhaps carried out: it is not sent again."""
    async with serving(DONE, b"") as (asterisk, ari):
        await ari.hang_up("c")
        with pytest.raises(AriUnavailable) as lost:  # on the connection of the hang-up
            await ari.originate(ORIGINATE)
        assert not isinstance(lost.value, AriNotSent)
        assert [head.partition(" ")[0] for head in asterisk.heads] == ["DELETE", "POST"]


async def test_an_answer_cut_short_is_an_unknown_outcome() -> None:
    """A body that ends before its length is no answer."""
    async with serving(TODAY[:-5]) as (asterisk, ari):
        with pytest.raises(AriUnavailable):
            await ari.startup_time()
        assert len(asterisk.heads) == 1


async def test_another_kind_of_server_is_told_in_a_line() -> None:
    """Whoever names the port of another protocol, as Asterisk's manager, reads just that."""
    async with serving(b"Asterisk Call Manager/9.0.0\r\n\r\n") as (_, ari):
        with pytest.raises(AriUnavailable, match=r"^what answers there does not speak HTTP$"):
            await ari.startup_time()


async def test_no_answer_in_time_is_an_unknown_outcome() -> None:
    """A request that is not answered within its time has left, so its outcome is unknown."""
    async with serving(timeout_s=0.2) as (asterisk, ari):
        with pytest.raises(AriUnavailable) as late:
            await ari.originate(ORIGINATE)
        assert not isinstance(late.value, AriNotSent)
        assert len(asterisk.heads) == 1


async def test_without_a_connection_nothing_was_sent() -> None:
    """Where nobody listens a request never left, and the reason is one line."""
    address = AriAddress(f"http://127.0.0.1:{free_port()}/ari", "u", "p", "app", 5.0)
    async with AriRest(address) as ari:
        with pytest.raises(AriNotSent, match=r"Connect call failed") as refused:
            await ari.originate(ORIGINATE)
    assert "\n" not in str(refused.value)


async def test_an_originate_that_cannot_leave_in_time_never_leaves() -> None:
    """With every connection busy an originate is given up before its moment, and was not sent."""
    async with serving(max_connections=1) as (asterisk, ari):
        blocking = asyncio.create_task(ari.startup_time())
        while not asterisk.heads:
            await asyncio.sleep(0.01)
        began_s = time.monotonic()
        late = Originate("id-1", "PJSIP/1@trunk", "", 30, "", {}, sent_within_s=0.4)
        with pytest.raises(AriNotSent):
            await ari.originate(late)
        assert time.monotonic() - began_s < 0.4
        blocking.cancel()
        await asyncio.wait({blocking})
        assert [head.partition(" ")[0] for head in asterisk.heads] == ["GET"]
