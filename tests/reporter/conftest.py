"""A reporter's parts on a real database, of either kind in turn where it matters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from reporter.dialer_client import IDEMPOTENT, SERVICE, GrpcDialer
from reporter_support.dialer import FakeDialer
from reporter_support.house import House, house_on
from reporter_support.panel import FakePanel
from reporter_support.site import Site, site_at
from salehi.dialer.v1 import dialer_pb2_grpc
from servicekit.channel import Peer
from servicekit.database import open_database
from servicekit.server import GrpcServer, GrpcService


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database, of either kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'reporter.db'}"


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Parts on a fresh database."""
    engine = await open_database(database_url, "reporter:migrations")
    yield house_on(engine)
    await engine.dispose()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client that gives up after half a second."""
    async with httpx.AsyncClient(timeout=0.5) as client:
        yield client


@pytest.fixture
async def panel() -> AsyncIterator[FakePanel]:
    """A panel that accepts everything until told otherwise."""
    panel = FakePanel()
    async with panel.server:
        yield panel


@pytest.fixture
def site(tmp_path: Path, panel: FakePanel) -> Site:
    """A reporter's home with the panel set."""
    return site_at(tmp_path, panel)


@pytest.fixture
def fake_dialer() -> FakeDialer:
    """A dialer without pauses."""
    return FakeDialer()  # type: ignore[abstract] # the other methods answer UNIMPLEMENTED


@pytest.fixture
async def dialer(fake_dialer: FakeDialer) -> AsyncIterator[GrpcDialer]:
    """The reporter's client, connected to the fake over real gRPC."""
    add = dialer_pb2_grpc.add_DialerServiceServicer_to_server
    server = GrpcServer([GrpcService(SERVICE, add, fake_dialer)])
    port = await server.start("127.0.0.1", 0, "DIALER_PORT")
    async with Peer(f"127.0.0.1:{port}", SERVICE, idempotent=IDEMPOTENT) as peer:
        await peer.wait_ready()
        yield GrpcDialer(peer)
    await server.drain(0)
