"""Campaigns as tests need them: rules, contacts, and a look into the database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, select

from dialer import attempts as attempt_records
from dialer.attempts import Claim, Ending
from dialer.claim import Claimer, NotNow, Rules
from dialer.contacts import NewContact, add_contacts
from dialer.engine import MIGRATIONS
from dialer.limits import Line, LineLimits, Pace
from dialer.moments import now_ms
from dialer.retries import RetryPolicy
from dialer.tables import Source, Stage
from dialer.windows import CallWindow
from servicekit.database import open_database
from servicekit.storage import Storage
from support.timing import HandClock

TEHRAN = ZoneInfo("Asia/Tehran")
ALWAYS = CallWindow.parse("00:00-24:00", TEHRAN)
PLENTY = LineLimits(50, 1000, 10_000)


def number(index: int) -> str:
    """Give the index-th customer's number."""
    return f"+98912{index:07}"


def rules(*lines: Line, spacing_ms: int = 0, max_total: int | None = None, **more: Any) -> Rules:
    """Make rules; without lines one that carries plenty."""
    return Rules(
        lines or (Line("1001", PLENTY),),
        Pace(spacing_ms, max_total),
        more.pop("window", ALWAYS),
        **more,
    )


def static_contact(index: int) -> NewContact:
    """Make a contact of the static list."""
    return NewContact(Source.STATIC, f"static:{number(index)}", number(index), "test")


def file_contact(index: int) -> NewContact:
    """Make a contact of a file."""
    return NewContact(Source.FILE, f"file:{number(index)}", number(index), "test")


def panel_contact(index: int, *, batch: str = "b1", expires_at_ms: int = 2**60) -> NewContact:
    """Make a contact of a panel's batch; its number id is the index."""
    return NewContact(
        Source.PANEL,
        f"panel:{batch}:{index}",
        number(index),
        "panel",
        panel_number_id=index,
        panel_batch_id=batch,
        expires_at_ms=expires_at_ms,
    )


async def add(storage: Storage, contacts: Sequence[NewContact], clock: HandClock) -> None:
    """Add contacts."""
    async with storage.transaction() as connection:
        await add_contacts(connection, contacts, now_ms(clock))


async def claimed(claimer: Claimer) -> Claim:
    """Claim, and insist on getting one."""
    claim = await claimer.claim()
    assert isinstance(claim, Claim), claim
    return claim


async def refused(claimer: Claimer) -> NotNow:
    """Claim, and insist on getting none."""
    claim = await claimer.claim()
    assert isinstance(claim, NotNow), claim
    return claim


async def place(storage: Storage, claim: Claim, clock: HandClock) -> None:
    """Let the gateway have the call."""
    async with storage.transaction() as connection:
        assert await attempt_records.note_progress(
            connection, claim.attempt_id, Stage.DIALING, now_ms(clock)
        )


async def end(
    storage: Storage,
    claim: Claim,
    clock: HandClock,
    ending: Ending,
    policy: RetryPolicy | None = None,
) -> None:
    """End the call."""
    async with storage.transaction() as connection:
        assert await attempt_records.end(
            connection,
            claim.attempt_id,
            ending,
            policy=policy or RetryPolicy(),
            at_ms=now_ms(clock),
        )


@contextlib.asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Storage]:
    """Open a database, migrated, during the block."""
    engine = await open_database(database_url, MIGRATIONS)
    try:
        yield Storage(engine)
    finally:
        await engine.dispose()


async def rows_of(storage: Storage, table: Table) -> list[dict[str, Any]]:
    """Read a whole table in the order of its key."""
    async with storage.transaction() as connection:
        result = await connection.execute(select(table).order_by(*table.primary_key))
        return [dict(row) for row in result.mappings()]
