"""Forgetting a person: what limits count stays, without whom it was."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import String, case, cast, delete, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import DialerError, InvalidNumber
from dialer.locks import lock_claims
from dialer.numbers import NumberPlan
from dialer.tables import (
    IS_OPEN,
    ContactState,
    attempts,
    contacts,
    do_not_call,
    other_calls,
    reports,
)
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.storage import Storage

ERASED = "erased"


class CallUnderWay(DialerError):  # noqa: N818 - named as the state it reports
    """The person is on the phone with us, or is being called."""


@dataclass(frozen=True)
class Erased:
    """What was erased.

    Attributes:
        contacts: contacts that lost number and consent.
        attempts: attempts that lost the number.
        on_do_not_call: whether the number is on the do-not-call list now.
    """

    contacts: int
    attempts: int
    on_do_not_call: bool


class Eraser:
    """Erases what is kept about people."""

    def __init__(self, storage: Storage, plan: NumberPlan) -> None:
        self._storage = storage
        self._plan = plan

    async def erase(self, number: str, *, forget_do_not_call: bool) -> Erased:
        """Erase a person (E.164).

        A report on its way to the reporter keeps the number until it has arrived there.

        Raises:
            CallUnderWay: nothing was erased; to be repeated when the call has ended.
            StoreUnavailable: the database is away; nothing was erased.
        """
        async with self._storage.transaction() as connection:
            await lock_claims(connection)
            if await _is_on_the_phone(connection, number):
                raise CallUnderWay
            if forget_do_not_call:
                await connection.execute(delete(do_not_call).where(do_not_call.c.number == number))
            people = await _erase_contacts(connection, number)
            statement = update(attempts).where(attempts.c.number == number).values(number="")
            calls = (await connection.execute(statement)).rowcount
            await self._strip_refused_reports(connection, number)
            listed = select(exists().where(do_not_call.c.number == number))
            return Erased(people, calls, bool(await connection.scalar(listed)))

    async def _strip_refused_reports(self, connection: AsyncConnection, number: str) -> None:
        """Take the number out of reports that the reporter will never take."""
        statement = select(reports.c.attempt_id, reports.c.body).where(reports.c.refusal != "")
        for row in (await connection.execute(statement)).all():
            report = ReportResultRequest.FromString(row.body)
            if not self._is_of(report, number):
                continue
            report.contact.ClearField("number")
            report.contact.ClearField("national_number")
            stripped = update(reports).where(reports.c.attempt_id == row.attempt_id)
            await connection.execute(stripped.values(body=report.SerializeToString()))

    def _is_of(self, report: ReportResultRequest, number: str) -> bool:
        """Whether a report is of a person, also where the number stands as it was written."""
        try:
            return self._plan.identify(report.contact.number) == number
        except InvalidNumber:
            return False


async def _is_on_the_phone(connection: AsyncConnection, number: str) -> bool:
    statement = select(
        or_(
            exists().where(attempts.c.number == number, IS_OPEN),
            exists().where(other_calls.c.number == number),
        )
    )
    return bool(await connection.scalar(statement))


async def _erase_contacts(connection: AsyncConnection, number: str) -> int:
    """Erase a person's contacts; those that wait are never dialled."""
    waits = contacts.c.state == ContactState.WAITING
    statement = (
        update(contacts)
        .where(contacts.c.number == number)
        .values(
            number="",
            consent_basis="",
            dedupe_key=literal(f"{ERASED}:").concat(cast(contacts.c.id, String)),
            state=case((waits, ContactState.DROPPED), else_=contacts.c.state),
            drop_reason=case((waits, ERASED), else_=contacts.c.drop_reason),
        )
    )
    return (await connection.execute(statement)).rowcount
