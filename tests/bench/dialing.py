"""Claims, whole attempts and imports, with many contacts waiting."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from sqlalchemy import delete, text, update

from bench.measuring import Figure, Stopwatch, measure
from dialer import attempts as attempt_records
from dialer.attempts import Claim, Ending
from dialer.claim import Claimer, Rules
from dialer.contacts import NewContact, add_contacts
from dialer.engine import MIGRATIONS
from dialer.importing import Importer, ImportRules
from dialer.limits import Line, LineLimits, Pace
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.retries import RetryPolicy
from dialer.tables import ContactState, Source, Stage, attempts, contacts
from dialer.waking import Bells
from dialer.windows import CallWindow
from dialer_support.campaign import TEHRAN
from salehi.calls.v1.calls_pb2 import Result
from servicekit.database import open_database
from servicekit.storage import Storage
from support.timing import HandClock

_CHUNK = 500
_CLAIMS_EACH = 100
_ATTEMPTS_EACH = 100
_ROWS_EACH = 10_000
_LINES = tuple(Line(f"{1000 + index}", LineLimits(500, 6000, 100_000)) for index in range(20))
_RULES = Rules(_LINES, Pace(0, None), CallWindow.parse("00:00-24:00", TEHRAN))


class DialingBench:
    """A campaign with many contacts waiting; every claim is a second after the one before."""

    def __init__(self, url: str, name: str, runs: int) -> None:
        self._url = url
        self._name = name
        self._runs = runs
        self._clock = HandClock()
        self._numbers = itertools.count()

    async def figures(self, waiting: int) -> AsyncIterator[Figure]:
        """Measure everything, with so many contacts waiting."""
        engines = [await open_database(self._url, MIGRATIONS) for _ in range(3)]
        # One process is all there is on SQLite; its claimers share what opens transactions.
        alone = Storage(engines[0])
        is_sqlite = engines[0].dialect.name == "sqlite"
        storages = [alone if is_sqlite else Storage(engine) for engine in engines]
        try:
            await self._fill(alone, waiting)
            for count in (1, 3):
                yield await self._claims(storages[:count])
            yield await self._attempts(alone)
            yield await self._import(alone)
        finally:
            for engine in engines:
                await engine.dispose()

    async def _fill(self, storage: Storage, waiting: int) -> None:
        for _ in range(0, waiting, _CHUNK):
            new = [self._contact() for _ in range(_CHUNK)]
            async with storage.transaction() as connection:
                await add_contacts(connection, new, now_ms(self._clock))
        async with storage.transaction() as connection:
            await connection.execute(text("ANALYZE"))

    def _contact(self) -> NewContact:
        number = _number(next(self._numbers))
        return NewContact(Source.FILE, f"file:{number}", number, "measured")

    async def _claims(self, storages: Sequence[Storage]) -> Figure:
        claimers = [Claimer(storage, _RULES, self._clock) for storage in storages]

        async def claim(claimer: Claimer) -> None:
            for _ in range(_CLAIMS_EACH):
                self._clock.advance(1)
                assert isinstance(await claimer.claim(), Claim)

        async def work() -> tuple[int, float]:
            watch = Stopwatch()
            await asyncio.gather(*(claim(claimer) for claimer in claimers))
            took_s = watch.seconds()
            await self._undo(storages[0])
            return _CLAIMS_EACH * len(claimers), took_s

        return await measure(f"claims, {len(claimers)} at once", self._name, self._runs, work)

    async def _attempts(self, storage: Storage) -> Figure:
        claimer = Claimer(storage, _RULES, self._clock)
        ending = Ending(Result.RESULT_MISSED)

        async def work() -> tuple[int, float]:
            watch = Stopwatch()
            for _ in range(_ATTEMPTS_EACH):
                self._clock.advance(1)
                claim = await claimer.claim()
                assert isinstance(claim, Claim)
                at_ms = now_ms(self._clock)
                async with storage.transaction() as connection:
                    await attempt_records.note_progress(
                        connection, claim.attempt_id, Stage.DIALING, at_ms
                    )
                async with storage.transaction() as connection:
                    await attempt_records.end(
                        connection, claim.attempt_id, ending, policy=RetryPolicy(), at_ms=at_ms
                    )
            return _ATTEMPTS_EACH, watch.seconds()

        return await measure("attempts claimed, placed and ended", self._name, self._runs, work)

    async def _import(self, storage: Storage) -> Figure:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "contacts.csv"
            rules = ImportRules(NumberPlan(), require_consent=True, directory=Path(directory))
            importer = Importer(storage, rules, bells=Bells(), clock=self._clock)

            async def work() -> tuple[int, float]:
                numbers = (_number(next(self._numbers)) for _ in range(_ROWS_EACH))
                rows = "".join(f"{number},customer\n" for number in numbers)
                path.write_text(f"number,consent\n{rows}")
                watch = Stopwatch()
                report = await importer.take_file(path)
                took_s = watch.seconds()
                assert report.accepted == _ROWS_EACH
                return _ROWS_EACH, took_s

            return await measure("rows of a contact file imported", self._name, self._runs, work)

    async def _undo(self, storage: Storage) -> None:
        """Take back all claims, so that the next run begins as this one did."""
        async with storage.transaction() as connection:
            await connection.execute(delete(attempts))
            waiting = update(contacts).values(state=ContactState.WAITING, attempts_made=0)
            await connection.execute(waiting.where(contacts.c.state == ContactState.CLAIMED))


def _number(index: int) -> str:
    return f"+98912{index:07}"
