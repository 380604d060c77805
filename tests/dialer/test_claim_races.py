from __future__ import annotations

import asyncio
from pathlib import Path

from dialer import attempts as attempt_records
from dialer.attempts import Claim
from dialer.claim import Claimer
from dialer.engine import MIGRATIONS
from dialer.limits import Line, LineLimits
from dialer.moments import now_ms
from dialer.tables import Stage
from dialer_support.campaign import add, rules, static_contact
from servicekit.database import open_database
from servicekit.storage import Storage
from support.timing import HandClock


async def test_many_claimers_at_once_keep_every_limit(storage: Storage, clock: HandClock) -> None:
    """Forty claims started together get exactly the free slots, each person once."""
    await add(storage, [static_contact(index) for index in range(100)], clock)
    lines = tuple(Line(f"10{index:02}", LineLimits(1, 10, 10)) for index in range(8))
    claimers = [Claimer(storage, rules(*lines), clock) for _ in range(40)]
    got = await asyncio.gather(*(claimer.claim() for claimer in claimers))
    claims = [claim for claim in got if isinstance(claim, Claim)]
    assert sorted(claim.line for claim in claims) == [line.number for line in lines]
    assert len({claim.contact.number for claim in claims}) == len(claims) == 8


async def test_two_processes_views_of_one_database_share_the_limits(
    tmp_path: Path, clock: HandClock
) -> None:
    """Two engines on one SQLite file never claim more together than one would."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    engines = [await open_database(url, MIGRATIONS) for _ in range(2)]
    storages = [Storage(engine) for engine in engines]
    await add(storages[0], [static_contact(index) for index in range(30)], clock)
    one = rules(Line("1001", LineLimits(5, 100, 100)), max_total=4)
    claimers = [Claimer(storage, one, clock) for storage in storages]

    async def claim_and_place(claimer: Claimer, storage: Storage) -> int:
        count = 0
        for _ in range(6):
            claim = await claimer.claim()
            if isinstance(claim, Claim):
                count += 1
                async with storage.transaction() as connection:
                    await attempt_records.note_progress(
                        connection, claim.attempt_id, Stage.DIALING, now_ms(clock) - 1000
                    )
        return count

    counts = await asyncio.gather(
        *(claim_and_place(*pair) for pair in zip(claimers, storages, strict=True))
    )
    assert sum(counts) == 4
    for engine in engines:
        await engine.dispose()
