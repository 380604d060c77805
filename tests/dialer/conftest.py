"""What every test of the dialer may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from dialer import gateway as gateway_adapter
from dialer.panel import Panel
from dialer_support.campaign import opened
from dialer_support.gateway import FakeGateway
from dialer_support.gateway import served as gateway_served
from dialer_support.panel import TOKEN, FakePanel
from dialer_support.panel import served as panel_served
from dialer_support.served import Doors, Stub
from servicekit.channel import Peer
from servicekit.storage import Storage
from support.timing import HandClock


@pytest.fixture
def clock() -> HandClock:
    """Give a clock at noon in Tehran that moves only when told."""
    return HandClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, of either kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'dialer.db'}"


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    """Give an empty, migrated database, of either kind in turn."""
    async with opened(database_url) as storage:
        yield storage


@pytest.fixture
def fake_gateway() -> FakeGateway:
    """Give a gateway that calls nobody."""
    return FakeGateway()


@pytest.fixture
async def gateway(fake_gateway: FakeGateway) -> AsyncIterator[gateway_adapter.Gateway]:
    """Give the dialer's view of it, over real gRPC."""
    async with gateway_served(fake_gateway) as port:
        peer = Peer(
            f"127.0.0.1:{port}",
            gateway_adapter.SERVICE,
            idempotent=gateway_adapter.IDEMPOTENT,
        )
        async with peer:
            yield gateway_adapter.Gateway(peer)


@pytest.fixture
def doors(
    storage: Storage, gateway: gateway_adapter.Gateway, clock: HandClock, tmp_path: Path
) -> Doors:
    """Give the service's parts."""
    return Doors(storage, gateway, clock, tmp_path)


@pytest.fixture
async def stub(doors: Doors) -> AsyncIterator[Stub]:
    """Give a client of the real service over real gRPC."""
    async with doors.asked() as asked:
        yield asked


@pytest.fixture
def fake() -> Iterator[FakePanel]:
    """Give a panel on loopback."""
    panel = FakePanel()
    with panel_served(panel):
        yield panel


@pytest.fixture
async def client(fake: FakePanel) -> AsyncIterator[httpx.AsyncClient]:
    """Give the connection to it, as the engine makes it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=fake.url, headers=headers) as http:
        yield http


@pytest.fixture
def panel(client: httpx.AsyncClient) -> Panel:
    """Give the dialer's view of the panel."""
    return Panel(client, timeout_s=2)
