"""A reporter's parts on a real database in a temporary directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from reporter_support.house import House, house_on
from servicekit.database import open_database


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Address of a database that does not exist yet."""
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
