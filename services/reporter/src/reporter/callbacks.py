"""People who wanted an operator and got none: noted with the result, listed, closed.

Every attempt that asks for a callback is noted, but a person waits once: the entry shown is the one
of the first attempt, and whatever closes it closes all of that person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.archive import place
from reporter.errors import BadNumber
from reporter.numbers import NumberForms
from reporter.storage import moment, unix_ms
from reporter.tables import callbacks, results
from reporter.words import RESULT_WORDS
from salehi.calls.v1 import calls_pb2
from servicekit.clock import Clock
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

_CHUNK = 500
_OPERATOR = calls_pb2.RESULT_CONNECTED_TO_OPERATOR
_PEOPLE = select(func.count(callbacks.c.person.distinct()))


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call as the ledger has just recorded it.

    Attributes:
        sequence: the row of its result.
        attempt_id: the attempt.
        number: the person's, as reported. Personal data.
        outcome: what it came to.
        attempted_at_ms: when it began, Unix milliseconds.
        ended_at_ms: when it ended, Unix milliseconds.
    """

    sequence: int
    attempt_id: str
    number: str
    outcome: calls_pb2.Outcome
    attempted_at_ms: int
    ended_at_ms: int


@dataclass(frozen=True, slots=True)
class CallbackRule:
    """Keeps the callbacks in step with the results, in the transaction that records these.

    Attributes:
        forms: how numbers are recognised.
    """

    forms: NumberForms

    async def follow(self, connection: AsyncConnection, calls: Sequence[RecordedCall]) -> None:
        """Note who wanted an operator in vain, and close for those who reached one since.

        It is when the calls began that counts, not when their results came in: a result that comes
        late neither closes what was asked after it, nor asks for what was had after it.
        """
        answered = [call for call in calls if call.outcome.result == _OPERATOR]
        wanted = [call for call in calls if call.outcome.callback_wanted]
        if wanted:
            await self._note(connection, wanted)
        if answered:
            await self._close(connection, answered)

    async def _note(self, connection: AsyncConnection, wanted: Sequence[RecordedCall]) -> None:
        people = {call.sequence: self._person(call) for call in wanted}
        served_at_ms = await self._served_at_ms(connection, {*people.values()} - {""})
        rows = []
        for call in wanted:
            person = people[call.sequence]
            if not person:
                log.warning(
                    "a callback is wanted, but the number is withheld", attempt_id=call.attempt_id
                )
            elif served_at_ms.get(person, -1) < call.attempted_at_ms:
                rows.append(
                    {"sequence": call.sequence, "person": person, "since_ms": call.ended_at_ms}
                )
        if rows:
            await connection.execute(insert(callbacks), rows)

    async def _served_at_ms(
        self, connection: AsyncConnection, people: Iterable[str]
    ) -> dict[str, int]:
        """Give when the last call began in which each of these people reached an operator."""
        known_as = {form: person for person in people for form in self.forms.of(person)}
        query = (
            select(results.c.number, func.max(results.c.attempted_at_ms))
            .where(
                results.c.number.in_(list(known_as)), results.c.result == RESULT_WORDS[_OPERATOR]
            )
            .group_by(results.c.number)
        )
        served: dict[str, int] = {}
        for number, at_ms in await connection.execute(query):
            person = known_as[number]
            served[person] = max(at_ms, served.get(person, at_ms))
        return served

    async def _close(self, connection: AsyncConnection, answered: Sequence[RecordedCall]) -> None:
        served = [
            and_(callbacks.c.person == person, results.c.attempted_at_ms <= call.attempted_at_ms)
            for call in answered
            if (person := self._person(call))
        ]
        if served:
            await remove_callbacks(connection, or_(*served))

    def _person(self, call: RecordedCall) -> str:
        """Give the number in its one form; nothing where no number was shown."""
        try:
            return self.forms.person(call.number)
        except BadNumber:
            return ""


@dataclass(frozen=True, slots=True)
class Callback:
    """One person who waits for a call.

    Attributes:
        attempt_id: the first attempt in which no operator could be had.
        number: as people dial it. Personal data.
        line: our line the person knows.
        direction: who had called whom.
        since: when that attempt ended, UTC.
    """

    attempt_id: str
    number: str
    line: str
    direction: calls_pb2.Direction.ValueType
    since: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many people wait for a call, and for how long the first of them has, seconds."""

    people: int
    oldest_age_s: float


class Callbacks:
    """The people who wait for a call. Every method may raise StoreUnavailable."""

    def __init__(self, storage: Storage, clock: Clock, forms: NumberForms) -> None:
        self._storage = storage
        self._clock = clock
        self._forms = forms

    async def page(self, size: int, token: str = "") -> tuple[list[Callback], str, int]:
        """Give them longest waiting first, the token of the next page, and how many wait in all.

        The token is empty on the last page.

        Raises:
            BadPageToken: no page ever carried this token.
        """
        columns = (results.c.attempt_id, results.c.line, results.c.direction)
        in_order = (callbacks.c.since_ms, callbacks.c.sequence)
        query = (
            select(callbacks, *columns)
            .join_from(callbacks, results)
            .where(_first_of_person())
            .order_by(*in_order)
            .limit(size + 1)
        )
        if token:
            query = query.where(tuple_(*in_order) > tuple_(*place(token)))
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(query)).all()
            people = await connection.scalar(_PEOPLE)
        last = rows[size - 1] if len(rows) > size else None
        next_token = f"{last.since_ms}-{last.sequence}" if last else ""
        return [self._callback(row) for row in rows[:size]], next_token, people or 0

    async def close(self, attempt_ids: Sequence[str]) -> int:
        """Mark callbacks as done, with all others of the same people; give how many named waited.

        All others, too, because whoever called the person back has settled those as well.
        """
        named = set(attempt_ids)
        done: list[str] = []
        async with self._storage.transaction() as connection:
            for start in range(0, len(attempt_ids), _CHUNK):
                chosen = results.c.attempt_id.in_(attempt_ids[start : start + _CHUNK])
                people = select(callbacks.c.person).join_from(callbacks, results).where(chosen)
                done += await remove_callbacks(connection, callbacks.c.person.in_(people))
        return len(named.intersection(done))

    async def waiting(self) -> Waiting:
        """Measure who waits."""
        oldest = select(func.min(callbacks.c.since_ms))
        async with self._storage.transaction() as connection:
            people = await connection.scalar(_PEOPLE)
            oldest_ms = await connection.scalar(oldest)
        now_ms = unix_ms(self._clock)
        return Waiting(
            people=people or 0,
            oldest_age_s=0.0 if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000),
        )

    def _callback(self, row: Row[*tuple[object, ...]]) -> Callback:
        return Callback(
            attempt_id=row.attempt_id,
            number=self._forms.dialled(row.person),
            line=row.line,
            direction=row.direction,
            since=moment(row.since_ms),
        )


async def remove_callbacks(connection: AsyncConnection, where: ColumnElement[bool]) -> list[str]:
    """Remove callbacks by a condition on them and their results; give their attempts."""
    # Locked in one order, so that two who remove the same wait instead of blocking each other.
    found = (
        select(callbacks.c.sequence, results.c.attempt_id)
        .join_from(callbacks, results)
        .where(where)
        .order_by(callbacks.c.sequence)
        .with_for_update(of=callbacks)
    )
    rows = (await connection.execute(found)).all()
    if rows:
        gone = [row.sequence for row in rows]
        await connection.execute(delete(callbacks).where(callbacks.c.sequence.in_(gone)))
    return [row.attempt_id for row in rows]


def _first_of_person() -> ColumnElement[bool]:
    first = callbacks.alias("first")
    return (
        callbacks.c.sequence
        == select(first.c.sequence)
        .where(first.c.person == callbacks.c.person)
        .order_by(first.c.since_ms, first.c.sequence)
        .limit(1)
        .scalar_subquery()
    )
