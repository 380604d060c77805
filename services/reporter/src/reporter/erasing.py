"""Forgetting people: what of a report is personal, and how it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.callbacks import remove_callbacks
from reporter.numbers import NumberForms
from reporter.tables import SETTLED, callbacks, deliveries, erasures, results
from salehi.reporter.v1 import reporter_pb2
from servicekit.storage import Storage

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """How many results lost their personal data, and how many wait for their delivery first."""

    now: int
    waiting: int


class Eraser:
    """Erases people by number. Every method may raise StoreUnavailable."""

    def __init__(self, storage: Storage, forms: NumberForms) -> None:
        self._storage = storage
        self._forms = forms

    async def erase(self, number: str) -> Erased:
        """Erase what is kept about a person.

        A result that the panel must still hear of is noted instead, and erased when its delivery is
        settled. Repeating it finds only those. Nobody calls the person back any more at once.

        Raises:
            BadNumber: the text is no phone number.
        """
        forms = self._forms.of(number)
        async with self._storage.transaction() as connection:
            waiting = await _note_waiting(connection, forms)
            await remove_callbacks(connection, callbacks.c.person.in_(forms))
        # What is settled from here on is either noted, or found below.
        erased = 0
        while True:
            async with self._storage.transaction() as connection:
                ready = (await connection.scalars(_settled_of(forms).limit(_CHUNK))).all()
                await strip_person(connection, ready)
            erased += len(ready)
            if len(ready) < _CHUNK:
                return Erased(now=erased, waiting=waiting)


async def erase_noted(connection: AsyncConnection, sequences: Sequence[int]) -> None:
    """Erase those of some results, just settled, whose person asked for it before."""
    if not sequences:
        return
    noted = select(erasures.c.sequence).where(erasures.c.sequence.in_(sequences))
    found = (await connection.scalars(noted)).all()
    await strip_person(connection, found)
    if found:
        await connection.execute(delete(erasures).where(erasures.c.sequence.in_(found)))


async def strip_person(connection: AsyncConnection, sequences: Sequence[int]) -> None:
    """Take number and words out of some results, and what the panel said about them."""
    rows = await connection.execute(
        select(results.c.sequence, results.c.report)
        .where(results.c.sequence.in_(sequences))
        .order_by(results.c.sequence)
        .with_for_update()
    )
    stripped = []
    for sequence, stored in rows:
        report = reporter_pb2.ReportResultRequest.FromString(stored)
        without_person(report)
        stripped.append({"row": sequence, "report": report.SerializeToString()})
    if not stripped:
        return
    await connection.execute(
        update(results)
        .where(results.c.sequence == bindparam("row"))
        .values(number="", has_words=False),
        stripped,
    )
    await connection.execute(
        update(deliveries).where(deliveries.c.sequence.in_(sequences)).values(reason="")
    )


def without_person(report: reporter_pb2.ReportResultRequest) -> None:
    """Take number and words out of a report."""
    report.contact.ClearField("number")
    report.contact.ClearField("national_number")
    without_words(report)


def without_words(report: reporter_pb2.ReportResultRequest) -> None:
    """Take the words that were heard out of a report; what they meant stays."""
    for turn in report.outcome.turns:
        turn.ClearField("heard")


def _settled_of(forms: Sequence[str]) -> Select[int]:
    return (
        select(results.c.sequence)
        .join_from(results, deliveries, isouter=True)
        .where(
            results.c.number.in_(forms),
            or_(deliveries.c.status.is_(None), deliveries.c.status.in_(SETTLED)),
        )
        .order_by(results.c.sequence)
    )


async def _note_waiting(connection: AsyncConnection, forms: Sequence[str]) -> int:
    """Note the results that cannot be erased yet; give how many there are."""
    waiting = (
        select(results.c.sequence)
        .join_from(results, deliveries)
        .where(results.c.number.in_(forms), deliveries.c.status.not_in(SETTLED))
        .order_by(results.c.sequence)
        .with_for_update(of=deliveries)  # none may be settled before it is noted
    )
    found = (await connection.scalars(waiting)).all()
    noted = set(await connection.scalars(select(erasures.c.sequence)))
    new = [{"sequence": sequence} for sequence in found if sequence not in noted]
    if new:
        await connection.execute(insert(erasures), new)
    return len(found)
