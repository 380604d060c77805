"""Attempts: each is claimed once, ends once, and has one result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from sqlalchemy import BigInteger, bindparam, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer import contacts as contact_records
from dialer.contacts import Contact
from dialer.do_not_call import SPOKEN, add_numbers
from dialer.locks import lock_claims
from dialer.moments import timestamp_of
from dialer.reports import queue_report
from dialer.retries import RetryPolicy
from dialer.tables import IS_OPEN, AttemptState, Source, Stage, attempts, contacts
from salehi.calls.v1.calls_pb2 import Call, CallState, Direction, Disposition, Outcome, Result
from salehi.intent.v1.intent_pb2 import Intent
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest

UNKNOWN_OUTCOME = "unknown_outcome"
INVALID_REQUEST = "invalid_request"
_TECHNICAL = frozenset({UNKNOWN_OUTCOME, INVALID_REQUEST})
_REASON_LENGTH = 200
_WITH_OPERATOR = frozenset({CallState.CALL_STATE_CALLING_OPERATOR, CallState.CALL_STATE_CONNECTED})
_CAME_TO_OPERATOR = frozenset({Result.RESULT_CONNECTED_TO_OPERATOR, Result.RESULT_DISCONNECTED})
_NO_OPERATOR = "operator_unavailable"

# Statements every call needs are built once: building them costs more than running them.
_FURTHEST = case(
    (attempts.c.stage < bindparam("came_far"), bindparam("came_far")), else_=attempts.c.stage
)
_NOTE_PROGRESS = (
    update(attempts)
    .where(attempts.c.id == bindparam("attempt_id"), IS_OPEN)
    .values(
        state=AttemptState.PLACED,
        originated_at_ms=func.coalesce(
            attempts.c.originated_at_ms, bindparam("left_at_ms", type_=BigInteger)
        ),
        stage=_FURTHEST,
    )
)
_END = (
    update(attempts)
    .where(attempts.c.id == bindparam("attempt_id"), IS_OPEN)
    .values(
        state=AttemptState.ENDED,
        originated_at_ms=func.coalesce(attempts.c.originated_at_ms, bindparam("at_ms")),
        ended_at_ms=bindparam("at_ms"),
        result=bindparam("came_to"),
        disposition=bindparam("how"),
        reason=bindparam("why"),
        stage=_FURTHEST,
    )
    .returning(attempts.c.contact_id, attempts.c.line, attempts.c.claimed_at_ms)
)
_CONTACT = select(contacts).where(contacts.c.id == bindparam("contact_id"))
_STATE = select(attempts.c.state).where(attempts.c.id == bindparam("attempt_id"))
_OPEN = (
    select(attempts.c.id, attempts.c.state, attempts.c.stage)
    .where(IS_OPEN)
    .order_by(attempts.c.claimed_at_ms)
)


@dataclass(frozen=True)
class Claim:
    """A committed attempt that may now be dialled, by nobody else.

    Attributes:
        attempt_id: UUID; becomes the channel's id at Asterisk.
        originate_before_ms: the call leaves before this moment or never.
        traceparent: the trace the attempt belongs to; empty when tracing is off.
    """

    attempt_id: str
    line: str
    contact: Contact
    claimed_at_ms: int
    originate_before_ms: int
    traceparent: str


@dataclass(frozen=True)
class OpenAttempt:
    """An attempt under way."""

    attempt_id: str
    state: AttemptState
    stage: Stage


@dataclass(frozen=True)
class Ending:
    """What an attempt came to.

    Attributes:
        opted_out: the person asked not to be called again.
        stage: how far the call came.
        report: True when the gateway never had the call, so that the dialer must report it.
    """

    result: int
    reason: str = ""
    disposition: int = Disposition.DISPOSITION_UNSPECIFIED
    opted_out: bool = False
    stage: Stage = Stage.DIALING
    report: bool = False

    @classmethod
    def of(cls, call: Call) -> Self:
        """Read it from an ended call; the gateway reports it itself."""
        outcome = call.outcome
        return cls(
            outcome.result,
            outcome.reason[:_REASON_LENGTH],
            outcome.disposition,
            opted_out=wants_no_calls(call),
            stage=stage_of(call),
        )

    @classmethod
    def failed(cls, reason: str) -> Self:
        """End an attempt that never became a call at the gateway."""
        return cls(Result.RESULT_FAILED, reason, report=True)


def wants_no_calls(call: Call) -> bool:
    """Whether the person said on the phone that we must not call again."""
    return any(turn.intent == Intent.INTENT_DO_NOT_CALL for turn in call.outcome.turns)


def stage_of(call: Call) -> Stage:
    """How far a call has come, or came."""
    outcome = call.outcome
    if (
        call.state in _WITH_OPERATOR
        or outcome.result in _CAME_TO_OPERATOR
        or outcome.reason == _NO_OPERATOR
    ):
        return Stage.WITH_OPERATOR
    answered = call.state == CallState.CALL_STATE_ANSWERED or call.HasField("answered_at")
    return Stage.ANSWERED if answered else Stage.DIALING


async def note_progress(
    connection: AsyncConnection, attempt_id: str, stage: Stage, left_at_ms: int | None
) -> bool:
    """Record that the gateway has the call of an open attempt; False when it is not open.

    Args:
        connection: the transaction to write in.
        attempt_id: of which attempt.
        stage: how far the call has come.
        left_at_ms: when it had left at the latest; None when it may not have left yet.
    """
    known = {"attempt_id": attempt_id, "came_far": stage, "left_at_ms": left_at_ms}
    return (await connection.execute(_NOTE_PROGRESS, known)).rowcount == 1


async def withdraw(connection: AsyncConnection, attempt_id: str) -> bool:
    """Undo a claim the gateway refused: nothing was dialled, so there was no attempt."""
    statement = (
        delete(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.state == AttemptState.CLAIMED)
        .returning(attempts.c.contact_id)
    )
    contact_id = (await connection.execute(statement)).scalar_one_or_none()
    if contact_id is None:
        return False
    await contact_records.put_back(connection, contact_id)
    return True


async def end(
    connection: AsyncConnection,
    attempt_id: str,
    ending: Ending,
    *,
    policy: RetryPolicy,
    at_ms: int,
) -> bool:
    """End an open attempt, with all that follows from it; False when it was not open.

    In the same transaction the contact is settled, a spoken opt-out goes onto the do-not-call
    list, and a result the gateway never had is put on its way to the reporter.
    """
    if ending.opted_out:
        await lock_claims(connection)  # before any row, so that nobody waits in a circle
    known = {
        "attempt_id": attempt_id,
        "at_ms": at_ms,
        "came_to": ending.result,
        "how": ending.disposition,
        "why": ending.reason,
        "came_far": ending.stage,
    }
    ended = (await connection.execute(_END, known)).one_or_none()
    if ended is None:
        return False
    contact = await _settle_contact(connection, ended.contact_id, ending, policy, at_ms)
    if ending.opted_out:
        await add_numbers(connection, [contact.number], SPOKEN, at_ms)
    if ending.report:
        request = unplaced_report(attempt_id, contact, ending, ended.claimed_at_ms, at_ms)
        request.line = ended.line
        await queue_report(connection, request, at_ms)
    return True


async def _settle_contact(
    connection: AsyncConnection, contact_id: int, ending: Ending, policy: RetryPolicy, at_ms: int
) -> Contact:
    """Finish the contact of an ended attempt, or let it wait for its retry."""
    found = await connection.execute(_CONTACT, {"contact_id": contact_id})
    contact = Contact.of(found.one())
    delay_s = None
    if contact.source is Source.FILE and not ending.opted_out:
        delay_s = policy.delay_s(ending.disposition, contact.attempts_made)
    retry_at_ms = None if delay_s is None else at_ms + delay_s * 1000
    await contact_records.finish(connection, contact.id, retry_at_ms)
    return contact


def unplaced_report(
    attempt_id: str, contact: Contact, ending: Ending, began_ms: int, ended_ms: int
) -> ReportResultRequest:
    """Make the report of something the gateway never had.

    What failed between the services is technical; a number that cannot or must not be dialled
    is not.
    """
    return ReportResultRequest(
        attempt_id=attempt_id,
        direction=Direction.DIRECTION_OUTBOUND,
        contact=contact.message(),
        attempted_at=timestamp_of(began_ms),
        ended_at=timestamp_of(ended_ms),
        outcome=Outcome(
            result=Result.ValueType(ending.result),
            reason=ending.reason,
            disposition=Disposition.ValueType(ending.disposition),
            technical=ending.reason in _TECHNICAL,
        ),
    )


async def open_attempts(connection: AsyncConnection) -> list[OpenAttempt]:
    """Give every attempt under way, oldest first."""
    rows = (await connection.execute(_OPEN)).all()
    return [OpenAttempt(row.id, AttemptState(row.state), Stage(row.stage)) for row in rows]


async def state_of(connection: AsyncConnection, attempt_id: str) -> AttemptState | None:
    """Where an attempt stands; None when there is no such attempt."""
    state = await connection.scalar(_STATE, {"attempt_id": attempt_id})
    return None if state is None else AttemptState(state)
