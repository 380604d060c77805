"""What happened to calls, written down: the one door through which attempts change."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer import attempts
from dialer.attempts import UNKNOWN_OUTCOME, Ending, OpenAttempt, stage_of
from dialer.do_not_call import SPOKEN, add_numbers
from dialer.errors import InvalidNumber
from dialer.locks import lock_claims
from dialer.marks import recall, remember
from dialer.metrics import ATTEMPTS, UNKNOWN_OUTCOMES
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.retries import RetryPolicy
from dialer.storage import insert_new
from dialer.tables import AttemptState, Stage, other_calls
from dialer.waking import Bells
from salehi.calls.v1.calls_pb2 import Call, CallState, Direction, Disposition
from servicekit.clock import Clock
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

_LINE_LENGTH = 40
_SEEN = "calls seen until"


class Ledger:
    """Writes down what became of attempts and which other calls are on our lines.

    Rings `dial` when a line may have room again, and `report` when there is something to report.
    Every method raises StoreUnavailable when the database is away; nothing is changed then.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        policy: RetryPolicy,
        plan: NumberPlan,
        clock: Clock,
        bells: Bells,
    ) -> None:
        self._storage = storage
        self._policy = policy
        self._plan = plan
        self._clock = clock
        self._bells = bells

    async def open_attempts(self) -> list[OpenAttempt]:
        """Give every attempt under way."""
        async with self._storage.transaction() as connection:
            return await attempts.open_attempts(connection)

    async def other_calls(self) -> dict[str, Stage]:
        """Give other calls on our lines by their ids, and how far they have come."""
        statement = select(other_calls.c.id, other_calls.c.stage)
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.id: Stage(row.stage) for row in rows}

    async def placed(self, attempt_id: str) -> None:
        """Record that the gateway has the call."""
        async with self._storage.transaction() as connection:
            await attempts.mark_placed(connection, attempt_id)
        self._bells.dial.ring()

    async def withdraw(self, attempt_id: str) -> None:
        """Undo a claim that was definitely not dialled."""
        async with self._storage.transaction() as connection:
            await attempts.withdraw(connection, attempt_id)
        self._bells.dial.ring()

    async def end(self, attempt_id: str, ending: Ending) -> bool:
        """End an attempt; False when it had ended before."""
        async with self._storage.transaction() as connection:
            ended = await self._end(connection, attempt_id, ending)
        if ended:
            self._tell(attempt_id, ending)
        return ended

    async def apply(self, call: Call) -> bool:
        """Take in what the gateway says of a call.

        Give False when the call is alive though its attempt was closed: it must be ended.
        """
        ending = Ending.of(call) if call.state == CallState.CALL_STATE_ENDED else None
        ended = False
        async with self._storage.transaction() as connection:
            state = await attempts.state_of(connection, call.attempt_id)
            if state is None or call.direction == Direction.DIRECTION_INBOUND:
                await self._note_other(connection, call, ending)
            elif ending is not None:
                ended = await self._end(connection, call.attempt_id, ending)
            else:
                await self._note_progress(connection, call)
        if ended and ending is not None:
            self._tell(call.attempt_id, ending)
        if (state is None and ending) or (ending is None and call.HasField("originated_at")):
            self._bells.dial.ring()  # its line is free, or rests from now on and no longer
        return ending is not None or state is not AttemptState.ENDED

    async def forget_other_calls(self, call_ids: Collection[str]) -> None:
        """Forget other calls that nobody knows any more."""
        if not call_ids:
            return
        async with self._storage.transaction() as connection:
            await connection.execute(delete(other_calls).where(other_calls.c.id.in_(call_ids)))
        self._bells.dial.ring()

    async def seen_until_ms(self) -> int | None:
        """Until when every call's end has been taken in; None when that is not known."""
        async with self._storage.transaction() as connection:
            return await recall(connection, _SEEN)

    async def mark_seen(self, at_ms: int) -> None:
        """Remember until when every call's end has been taken in."""
        async with self._storage.transaction() as connection:
            await remember(connection, _SEEN, at_ms)

    async def _end(self, connection: AsyncConnection, attempt_id: str, ending: Ending) -> bool:
        return await attempts.end(
            connection, attempt_id, ending, policy=self._policy, at_ms=now_ms(self._clock)
        )

    async def _note_progress(self, connection: AsyncConnection, call: Call) -> None:
        await attempts.mark_placed(connection, call.attempt_id)
        if call.HasField("originated_at"):
            # Its moment is by another clock; by ours it has left by now.
            await attempts.mark_originated(connection, call.attempt_id, now_ms(self._clock))
        await attempts.mark_stage(connection, call.attempt_id, stage_of(call))

    async def _note_other(
        self, connection: AsyncConnection, call: Call, ending: Ending | None
    ) -> None:
        number = self._stored_number(call.contact.number)
        if ending is None:
            row = {
                "id": call.attempt_id,
                "line": call.line[:_LINE_LENGTH],
                "number": number,
                "started_at_ms": now_ms(self._clock),
                "stage": stage_of(call),
            }
            if not await insert_new(connection, other_calls, other_calls.c.id, [row]):
                known = update(other_calls).where(other_calls.c.id == call.attempt_id)
                await connection.execute(known.values(stage=stage_of(call)))
            return
        if ending.opted_out and number:
            await lock_claims(connection)
        await connection.execute(delete(other_calls).where(other_calls.c.id == call.attempt_id))
        if ending.opted_out and number:
            await add_numbers(connection, [number], SPOKEN, now_ms(self._clock))

    def _stored_number(self, number: str) -> str:
        """Give a caller's number as contacts keep it; empty when it is none."""
        try:
            return self._plan.identify(number)
        except InvalidNumber:
            return ""

    def _tell(self, attempt_id: str, ending: Ending) -> None:
        disposition = Disposition.Name(Disposition.ValueType(ending.disposition))
        ATTEMPTS.labels(disposition.removeprefix("DISPOSITION_").lower()).inc()
        if ending.reason == UNKNOWN_OUTCOME:
            UNKNOWN_OUTCOMES.inc()
        log.info("attempt ended", attempt_id=attempt_id, disposition=disposition)
        self._bells.dial.ring()
        if ending.report:
            self._bells.report.ring()
