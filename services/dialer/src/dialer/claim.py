"""The claim: the one transaction in which everything that must hold before a call is checked."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, replace

from opentelemetry import trace
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.attempts import Claim
from dialer.contacts import Contact, take
from dialer.limits import Limit, Line, Moment, NoRoom, Pace, choose_line
from dialer.loads import read_loads
from dialer.moments import unix_ms
from dialer.pauses import Pause, PauseKind, in_force
from dialer.screening import next_contact, next_due_ms
from dialer.storage import Storage, lock_claims
from dialer.tables import AttemptState, attempts
from dialer.windows import CallWindow
from servicekit.clock import Clock
from servicekit.tracing import traceparent

tracer = trace.get_tracer(__name__)


@dataclass(frozen=True)
class Rules:
    """What a claim must keep to.

    Attributes:
        min_gap_ms: least time between calls to one person for different contacts.
    """

    lines: tuple[Line, ...]
    pace: Pace
    window: CallWindow
    min_gap_ms: int = 0


class Refusal(enum.StrEnum):
    """Why nothing may be dialled now."""

    PAUSED = "paused"
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
            await lock_claims(connection)
            # Read inside: waiting for the lock takes time, and limits count to the moment.
            now = self._clock.now()
            window = self._rules.window
            if not window.is_open(now):
                opens_ms = unix_ms(window.opens_next(now))
                return NotNow(Refusal.WINDOW, "outside the call window", opens_ms)
            if pauses := await in_force(connection):
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
            return await _write(connection, contact, line, at.now_ms, today)

    async def _choose_line(
        self, connection: AsyncConnection, at: Moment, today: str
    ) -> Line | NoRoom:
        loads = await read_loads(connection, self._rules.lines, at.now_ms, today)
        return choose_line(self._rules.lines, loads, self._rules.pace, at)


async def _write(
    connection: AsyncConnection, contact: Contact, line: Line, now_ms: int, today: str
) -> Claim:
    with tracer.start_as_current_span("claim", attributes={"line": line.number}):
        claim = Claim(str(uuid.uuid4()), line.number, contact, now_ms, traceparent())
    await take(connection, contact.id)
    claim = replace(claim, contact=replace(contact, attempts_made=contact.attempts_made + 1))
    await connection.execute(
        attempts.insert().values(
            id=claim.attempt_id,
            contact_id=contact.id,
            number=contact.number,
            line=claim.line,
            state=AttemptState.CLAIMED,
            local_date=today,
            claimed_at_ms=now_ms,
            result=0,
            disposition=0,
            reason="",
            traceparent=claim.traceparent,
        )
    )
    return claim


def _paused(pauses: list[Pause]) -> NotNow:
    """Only a pause that is the panel's alone ends by asking the panel again."""
    reasons = "; ".join(f"{pause.kind}: {pause.reason}" for pause in pauses)
    panel_only = all(pause.kind is PauseKind.PANEL for pause in pauses)
    return NotNow(Refusal.PANEL if panel_only else Refusal.PAUSED, f"paused ({reasons})")
