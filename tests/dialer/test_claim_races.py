from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dialer import attempts as attempt_records
from dialer.attempts import Claim
from dialer.claim import Claimer
from dialer.engine import MIGRATIONS
from dialer.limits import Line, LineLimits
from dialer.moments import now_ms
from dialer.storage import Storage
from dialer_support.campaign import add, rules, static_contact
from dialer_support.simulation import Simulation
from servicekit.database import open_database
from support.timing import HandClock

LINES = (Line("1001", LineLimits(3, 4, 12)), Line("1002", LineLimits(2, 6, 9)))


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
                    await attempt_records.mark_placed(
                        connection, claim.attempt_id, now_ms(clock) - 1000
                    )
        return count

    counts = await asyncio.gather(
        *(claim_and_place(*pair) for pair in zip(claimers, storages, strict=True))
    )
    assert sum(counts) == 4
    for engine in engines:
        await engine.dispose()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_no_limit_is_exceeded(seed: int) -> None:
    """Random campaigns with refusals, lost answers, crashes and day rollover keep every promise.

    Judged from outside: the simulation notes when each call left and ended, and checks limits,
    window, opt-outs and one result per attempt on that record alone.
    """
    asyncio.run(_random_campaign(random.Random(seed)))


async def _random_campaign(dice: random.Random) -> None:
    with tempfile.TemporaryDirectory() as directory:
        engine = await open_database(f"sqlite:///{directory}/dialer.db", MIGRATIONS)
        try:
            await Simulation(Storage(engine), LINES, dice).run(steps=150)
        finally:
            await engine.dispose()
