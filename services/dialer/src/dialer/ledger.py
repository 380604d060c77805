"""What happened to calls, written down: the one door through which attempts change."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Self

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
from dialer.tables import Stage, other_calls
from dialer.waking import Bells
from salehi.calls.v1.calls_pb2 import Call, CallState, Direction, Disposition
from servicekit.clock import Clock
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

_LINE_LENGTH = 40
_SEEN = "calls seen until"


class _Standing(NamedTuple):
    """What is written down of a live call; all else that happens in it is no news here."""

    has_left: bool = False
    stage: Stage = Stage.DIALING

    @classmethod
    def of(cls, call: Call) -> Self:
        return cls(call.HasField("originated_at"), stage_of(call))


class Ledger:
    """Writes down what became of attempts and which other calls are on our lines.

    Rings `dial` when a line may have room again, and `report` when there is something to report.
    Every method that is awaited raises StoreUnavailable when the database is away; nothing is
    changed then.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        policy: RetryPolicy,
        plan: NumberPlan,
        clock: Clock,
        bells: Bells,
        line_rests_s: float = 0.0,
    ) -> None:
        """Write to `storage`; a line rests `line_rests_s` seconds once a call has left on it."""
        self._storage = storage
        self._policy = policy
        self._plan = plan
        self._clock = clock
        self._bells = bells
        self._line_rests_s = line_rests_s
        self._standings: dict[str, _Standing] = {}

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

    def asked_for(self, attempt_id: str) -> None:
        """Know that the gateway is asked for a claimed call: that it dials will be no news."""
        self._standings[attempt_id] = _Standing()

    def is_news(self, call: Call) -> bool:
        """Whether the stream's next word of a call differs from what is written down.

        Only the stream may be asked so: what stands there of a call that somebody else has closed
        or forgotten is not known here.
        """
        is_over = call.state == CallState.CALL_STATE_ENDED
        return is_over or self._standings.get(call.attempt_id) != _Standing.of(call)

    async def withdraw(self, attempt_id: str) -> None:
        """Undo a claim that was definitely not dialled."""
        async with self._storage.transaction() as connection:
            await attempts.withdraw(connection, attempt_id)
        self._standings.pop(attempt_id, None)
        self._bells.dial.ring()

    async def end(self, attempt_id: str, ending: Ending) -> bool:
        """End an attempt; False when it had ended before."""
        async with self._storage.transaction() as connection:
            ended = await self._end(connection, attempt_id, ending)
        self._standings.pop(attempt_id, None)
        if ended:
            self._tell(attempt_id, ending)
        return ended

    async def apply(self, call: Call) -> bool:
        """Take in what the gateway says of a call.

        Give False when the call is alive though its attempt was closed: it must be ended.
        """
        ending = Ending.of(call) if call.state == CallState.CALL_STATE_ENDED else None
        is_attempt = call.direction != Direction.DIRECTION_INBOUND
        was_closed = False
        async with self._storage.transaction() as connection:
            was_open = is_attempt and await self._note_attempt(connection, call, ending)
            if not was_open:
                state = await attempts.state_of(connection, call.attempt_id) if is_attempt else None
                was_closed = state is not None
                if not was_closed:
                    await self._note_other(connection, call, ending)
        self._follow(call, is_alive=ending is None and not was_closed)
        if was_open and ending is not None:
            self._tell(call.attempt_id, ending)
        elif ending is not None and not was_closed:
            self._bells.dial.ring_for_end()
        return ending is not None or not was_closed

    async def forget_other_calls(self, call_ids: Collection[str]) -> None:
        """Forget other calls that nobody knows any more."""
        if not call_ids:
            return
        async with self._storage.transaction() as connection:
            await connection.execute(delete(other_calls).where(other_calls.c.id.in_(call_ids)))
        for call_id in call_ids:
            self._standings.pop(call_id, None)
        self._bells.dial.ring_for_end()

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

    async def _note_attempt(
        self, connection: AsyncConnection, call: Call, ending: Ending | None
    ) -> bool:
        """Write down how an attempt's call stands or ended; False when no such one is open."""
        if ending is not None:
            return await self._end(connection, call.attempt_id, ending)
        # When it left is told by another clock; by ours it has left by now.
        left_at_ms = now_ms(self._clock) if call.HasField("originated_at") else None
        return await attempts.note_progress(connection, call.attempt_id, stage_of(call), left_at_ms)

    def _follow(self, call: Call, *, is_alive: bool) -> None:
        """Remember what is written down of a call, as long as it lives."""
        before = self._standings.pop(call.attempt_id, _Standing())
        if not is_alive:
            return
        stands = self._standings[call.attempt_id] = _Standing.of(call)
        if stands.has_left and not before.has_left and self._line_rests_s:
            self._bells.dial.ring(in_s=self._line_rests_s)

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
        self._bells.dial.ring_for_end()
        if ending.report:
            self._bells.report.ring()
