"""The claim: the one transaction in which everything that must hold before a call is checked."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.attempts import Claim
from dialer.contacts import Contact, take
from dialer.limits import (
    ORIGINATE_MARGIN_MS,
    ORIGINATE_WITHIN_MS,
    Limit,
    Line,
    Moment,
    NoRoom,
    Pace,
    rank_lines,
)
from dialer.loads import read_loads
from dialer.locks import is_alone, lock_a_line, lock_total, share_claims
from dialer.moments import unix_ms
from dialer.operators import read_operator_load
from dialer.pauses import Pause, PauseKind, in_force, use_trial
from dialer.screening import next_contact, next_due_ms
from dialer.steadiness import Steadiness
from dialer.tables import AttemptState, Stage, attempts
from dialer.windows import CallWindow
from servicekit.clock import Clock
from servicekit.storage import Storage
from servicekit.tracing import of_attempt, traceparent

tracer = trace.get_tracer(__name__)

_INSERT = attempts.insert()
_TAKEN_MS = 10  # longer than a claim takes


@dataclass(frozen=True)
class Rules:
    """What a claim must keep to.

    Attributes:
        min_gap_ms: least time between calls to one person for different contacts.
        operator_slots: operators who can take over at once; None: dial without regard to them.
    """

    lines: tuple[Line, ...]
    pace: Pace
    window: CallWindow
    min_gap_ms: int = 0
    operator_slots: int | None = None

    @property
    def count_over_all(self) -> bool:
        """Whether something is counted over all lines, so that claims must follow one another."""
        return self.pace.max_total is not None or self.operator_slots is not None


class Refusal(enum.StrEnum):
    """Why nothing may be dialled now."""

    PAUSED = "paused"
    BREAKER = "breaker"
    PANEL = "panel"
    WINDOW = "window"
    NO_ROOM = "no_room"
    NO_CONTACTS = "no_contacts"


@dataclass(frozen=True)
class NotNow:
    """Nothing may be dialled now.

    Attributes:
        detail: why, for a person.
        until_ms: when that may end by itself; None when something has to happen first.
        limits: the limits met, when there is no room.
    """

    why: Refusal
    detail: str
    until_ms: int | None = None
    limits: frozenset[Limit] = frozenset()


class Claimer:
    """Claims one contact and one line at a time; safe with any number of claimers."""

    def __init__(self, storage: Storage, rules: Rules, clock: Clock) -> None:
        self._storage = storage
        self._rules = rules
        self._clock = clock
        self._steadiness = Steadiness(clock)

    async def claim(self) -> Claim | NotNow:
        """Claim the next call, committed; or say why there is none.

        Checked in one transaction: window, pauses, room on a line within all limits, and for the
        person do-not-call, a call under way and the minimum gap. A claim is the right and the
        duty to ask the gateway, once, for exactly this attempt.

        Raises:
            StoreUnavailable: no claim was made, or its commit was not confirmed; in that case the
                attempt is settled like one whose answer was lost.
        """
        async with self._storage.transaction() as connection:
            await share_claims(connection)
            # Read inside: waiting for the lock takes time, and limits count to the moment.
            now = self._clock.now()
            window = self._rules.window
            if not window.is_open(now):
                opens_ms = unix_ms(window.opens_next(now))
                return NotNow(Refusal.WINDOW, "outside the call window", opens_ms)
            pauses = await in_force(connection)
            if pauses and not _is_trial(pauses):
                return _paused(pauses)
            today = window.local_date(now).isoformat()
            at = Moment(unix_ms(now), unix_ms(window.next_midnight(now)))
            line = await self._choose_line(connection, at, today)
            if isinstance(line, NoRoom):
                reached = ", ".join(sorted(line.limits))
                detail = f"no line has room (limits reached: {reached})"
                return NotNow(Refusal.NO_ROOM, detail, line.until_ms, line.limits)
            contact = await next_contact(
                connection, now_ms=at.now_ms, min_gap_ms=self._rules.min_gap_ms
            )
            if contact is None:
                due_ms = await next_due_ms(connection)
                return NotNow(Refusal.NO_CONTACTS, "no contact is due", due_ms)
            if pauses and not await use_trial(connection, PauseKind.BREAKER):
                return _paused(pauses)
            claim = _claim_of(contact, line, window, now)
            await _write(connection, claim, today)
            return claim

    async def _choose_line(
        self, connection: AsyncConnection, at: Moment, today: str
    ) -> Line | NoRoom:
        """Choose the least loaded line with room, and count it when nobody else can add to it."""
        rules = self._rules
        unsure_s = self._steadiness.unsure_for_s()
        if unsure_s:
            return NoRoom(frozenset({Limit.MINUTE}), at.now_ms + int(unsure_s * 1000))
        if rules.count_over_all:
            await lock_total(connection)
        if rules.operator_slots is not None:
            operators = await read_operator_load(connection, rules.operator_slots)
            if not operators.has_room:
                return NoRoom(frozenset({Limit.OPERATORS}), None)
        locked: set[str] = set()
        while True:
            loads = await read_loads(connection, rules.lines, at.now_ms, today)
            ranked = rank_lines(rules.lines, loads, rules.pace, at)
            if isinstance(ranked, NoRoom):
                return ranked
            for line in ranked:
                if line.number in locked or is_alone(connection):
                    return line
            free = [line.number for line in ranked]
            found = await lock_a_line(connection, free, wait=not locked)
            if found is None:
                return NoRoom(frozenset({Limit.TAKEN}), at.now_ms + _TAKEN_MS)
            locked.add(found)


def _claim_of(contact: Contact, line: Line, window: CallWindow, now: datetime) -> Claim:
    now_ms = unix_ms(now)
    before_ms = now_ms + ORIGINATE_WITHIN_MS
    closes = window.closes_next(now)
    if closes is not None:
        before_ms = min(before_ms, unix_ms(closes) - ORIGINATE_MARGIN_MS)
    counted = replace(contact, attempts_made=contact.attempts_made + 1)
    attempt_id = str(uuid.uuid4())
    with (
        of_attempt(attempt_id),
        tracer.start_as_current_span("claim", Context(), attributes={"line": line.number}),
    ):
        return Claim(attempt_id, line.number, counted, now_ms, before_ms, traceparent())


async def _write(connection: AsyncConnection, claim: Claim, today: str) -> None:
    await take(connection, claim.contact.id)
    row = {
        "id": claim.attempt_id,
        "contact_id": claim.contact.id,
        "number": claim.contact.number,
        "line": claim.line,
        "state": AttemptState.CLAIMED,
        "local_date": today,
        "claimed_at_ms": claim.claimed_at_ms,
        "result": 0,
        "disposition": 0,
        "reason": "",
        "traceparent": claim.traceparent,
        "stage": Stage.DIALING,
    }
    await connection.execute(_INSERT, row)


def _is_trial(pauses: list[Pause]) -> bool:
    """Whether a call may be dialled in spite of the only pause: the breaker's, on trial."""
    return all(pause.kind is PauseKind.BREAKER and pause.trial_calls > 0 for pause in pauses)


def _paused(pauses: list[Pause]) -> NotNow:
    """Only pauses that are the panel's or the breaker's can end by asking the panel again."""
    reasons = "; ".join(f"{pause.kind}: {pause.reason}" for pause in pauses)
    kinds = {pause.kind for pause in pauses}
    why = Refusal.PAUSED
    if kinds == {PauseKind.PANEL}:
        why = Refusal.PANEL
    elif PauseKind.MANUAL not in kinds:
        why = Refusal.BREAKER
    return NotNow(why, f"paused ({reasons})")
