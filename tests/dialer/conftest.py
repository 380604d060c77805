"""What every test of the dialer may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dialer import gateway as gateway_adapter
from dialer_support.campaign import opened
from dialer_support.gateway import FakeGateway
from dialer_support.gateway import served as gateway_served
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
