"""What every test of the dialer may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dialer import gateway as gateway_adapter
from dialer.engine import MIGRATIONS
from dialer.storage import Storage
from dialer_support.gateway import FakeGateway
from dialer_support.gateway import served as gateway_served
from servicekit.channel import Peer
from servicekit.database import open_database
from support.timing import HandClock


@pytest.fixture
def clock() -> HandClock:
    """Give a clock at noon in Tehran that moves only when told."""
    return HandClock()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """Give an empty, migrated database."""
    engine = await open_database(f"sqlite:///{tmp_path / 'dialer.db'}", MIGRATIONS)
    yield Storage(engine)
    await engine.dispose()


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
