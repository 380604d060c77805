"""A running dialer whose PostgreSQL goes away for some seconds."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from dialer.limits import Line, LineLimits
from dialer.tables import AttemptState, attempts
from dialer_support import evidence
from dialer_support.campaign import opened, rows_of
from dialer_support.evidence import settled_books
from dialer_support.gateway import FakeGateway, served
from dialer_support.network import Manners, open_network
from dialer_support.processes import DialerProcess, running_dialers
from salehi.dialer.v1 import dialer_pb2
from servicekit.storage import Storage, StoreUnavailable
from support.postgres import PostgresServer, postgres_server
from support.timing import eventually

AWAY_S = 4.0
CUTS = 30
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
LINES = [Line(str(number), LineLimits(2, 1000, 1000)) for number in range(1001, 1006)]
Away = Callable[[PostgresServer], AbstractContextManager[None]]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a server of this test's own, to be stopped and started."""
    with postgres_server() as own:
        yield own


@contextlib.contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Stop the server during the block: connections break, new ones are refused."""
    server.stop()
    try:
        yield
    finally:
        server.start()


def frozen(server: PostgresServer) -> AbstractContextManager[None]:
    """Let the server stand still during the block: nothing breaks, nobody answers."""
    return server.frozen()


async def states(database_url: str) -> dict[str, str]:
    """Give where each attempt stands."""
    async with opened(database_url) as storage:
        return {row["id"]: row["state"] for row in await rows_of(storage, attempts)}


@pytest.mark.parametrize("away", [stopped, frozen])
async def test_a_database_that_goes_away_stops_dialing_until_it_is_back(
    server: PostgresServer, tmp_path: Path, away: Away
) -> None:
    """No call leaves meanwhile; ends are taken in afterwards, dialing resumes, no traceback."""
    url = server.new_database()
    fake = FakeGateway()
    people = ",".join(f"0912000000{digit}" for digit in range(8))
    async with served(fake) as port:
        dialer = DialerProcess(
            tmp_path / "dialer",
            port,
            DATABASE_URL=url,
            OUTBOUND_NUMBERS="1001",
            MAX_CONCURRENT_CALLS="2",
            ORIGINATE_SPACING="0",
            STATIC_CONTACTS=people,
        )
        async with running_dialers(dialer):
            await eventually(lambda: len(fake.calls) == 2, within_s=20)
            ended, living = fake.calls
            with away(server):
                fake.end(ended)
                await asyncio.sleep(AWAY_S)
                assert len(fake.requests) == 2, "a call left though nothing can be counted"
                assert dialer.is_running, dialer.written()[-3000:]
            await eventually(lambda: len(fake.calls) == 3, within_s=20)
            found = await states(url)
            assert (found[ended], found[living]) == (AttemptState.ENDED, AttemptState.PLACED)
            fake.end(living)
            await eventually(lambda: len(fake.calls) == 4, within_s=10)
            assert await dialer.end(signal.SIGTERM) == 0
    assert len({request.attempt_id for request in fake.requests}) == 4
    assert "Traceback" not in dialer.written()
    assert "nobody knows" not in dialer.written()


async def test_connections_that_break_in_the_middle_break_no_promise(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Under load, with all connections cut again and again, limits and results still hold."""
    url = server.new_database()
    people = ",".join(f"0912{index:07}" for index in range(3000))
    dice = random.Random(11)
    async with open_network(dice, Manners(phase_s=(0.05, 0.2))) as network, served(network) as port:
        dialer = DialerProcess(
            tmp_path / "dialer",
            port,
            DATABASE_URL=url,
            OUTBOUND_NUMBERS=",".join(line.number for line in LINES),
            MAX_CONCURRENT_CALLS="2",
            MAX_CALLS_PER_MINUTE="1000",
            MAX_CALLS_PER_DAY="1000",
            ORIGINATE_SPACING="0.1",
            STATIC_CONTACTS=people,
        )
        async with running_dialers(dialer), opened(url) as storage:
            for _ in range(CUTS):
                before = len(network.originates)
                await eventually(lambda: len(network.originates) > before + 3, within_s=20)  # noqa: B023 - awaited here
                await asyncio.sleep(dice.uniform(0, 0.1))
                await cut_connections(storage)
            async with dialer.asked() as stub:
                await stub.Pause(dialer_pb2.PauseRequest(reason="enough"), timeout=5)
            books = await settled_books(storage, all_reported=False)
    calls = network.originates
    evidence.check_lines(calls.values(), LINES, 0.1)
    evidence.check_people(calls.values(), {})
    evidence.check_attempts(calls, network.requests, books)
    assert "Traceback" not in dialer.written()


@pytest.mark.parametrize(
    "sqlstate",
    [
        pytest.param(b"57P03", id="starting up"),
        pytest.param(b"57P01", id="shutting down"),
        pytest.param(b"53300", id="too many connections"),
    ],
)
async def test_a_server_that_turns_us_away_is_unavailable(sqlstate: bytes) -> None:
    """A server that answers but takes no connection now counts as away, to be tried again."""
    async with turning_away(sqlstate) as port:
        await assert_is_away(f"postgresql+asyncpg://salehi@127.0.0.1:{port}/any")


async def test_a_server_whose_name_is_not_known_is_unavailable() -> None:
    """A name server's hiccup counts as a database that is away."""
    await assert_is_away("postgresql+asyncpg://salehi@no-such-host.invalid/any")


async def assert_is_away(url: str) -> None:
    """Insist that a transaction cannot be opened now."""
    engine = create_async_engine(url, hide_parameters=True, pool_pre_ping=True)
    with pytest.raises(StoreUnavailable):
        async with Storage(engine).transaction():
            pass
    await engine.dispose()


@contextlib.asynccontextmanager
async def turning_away(sqlstate: bytes) -> AsyncIterator[int]:
    """Speak just enough of PostgreSQL's protocol to refuse every connection; give the port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(8) == _SSL_REQUEST:
            writer.write(b"N")
            await reader.read(1024)
        fields = b"SFATAL\0VFATAL\0C" + sqlstate + b"\0Mnot now\0\0"
        writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as refusing:
        yield refusing.sockets[0].getsockname()[1]


async def cut_connections(storage: Storage) -> None:
    """Break every connection to the database but this one."""
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with storage.transaction() as connection:
        await connection.execute(text(statement))
