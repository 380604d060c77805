"""Running one random campaign from its seed, so that it comes out the same each time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from unittest import mock

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dialer.engine import MIGRATIONS
from dialer.tables import metadata
from servicekit.database import open_database
from simulation.campaign import Campaign
from simulation.database import Faults, empty_database, open_copy

SQLITE = ""


@dataclass(frozen=True)
class Order:
    """Which campaign to run.

    Attributes:
        seed: of the whole simulation.
        number: of this campaign in it.
        calls: how many are dialled.
        replicas: dialers on the database.
        database_url: of a PostgreSQL database that may be emptied; SQLITE for one in memory.
    """

    seed: int
    number: int
    calls: int
    replicas: int
    database_url: str = SQLITE


def run(order: Order) -> Counter[str]:
    """Run a campaign; give what was seen.

    Raises:
        BrokenPromise: something happened that must never happen.
    """
    empty_database()  # it cannot be made once the loop runs
    return asyncio.run(_run(order))


async def _run(order: Order) -> Counter[str]:
    dice = random.Random(f"{order.seed}:{order.number}")
    faults = Faults()
    async with _database(order.database_url, faults) as engine:
        with ids_by(dice):
            return await Campaign(dice, engine, faults, order.replicas).run(order.calls)


@contextlib.contextmanager
def ids_by(dice: random.Random) -> Iterator[None]:
    """Let the dice decide on random ids too."""

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=dice.getrandbits(128), version=4)

    with mock.patch.object(uuid, "uuid4", uuid4):
        yield


@contextlib.asynccontextmanager
async def _database(url: str, faults: Faults) -> AsyncIterator[AsyncEngine]:
    """Open an empty database; on PostgreSQL no faults strike, replicas die at their own time."""
    if url == SQLITE:
        engine = open_copy(empty_database(), faults)
    else:
        engine = await open_database(url, MIGRATIONS)
        tables = ", ".join(table.name for table in metadata.sorted_tables)
        async with engine.begin() as connection:
            await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    try:
        yield engine
    finally:
        await engine.dispose()
