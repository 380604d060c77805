"""How the campaign stands, read in one transaction."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from dialer.attempt_log import count, oldest_calls_ms
from dialer.claim import Rules
from dialer.contacts import count_waiting
from dialer.limits import Line, LineLoad
from dialer.loads import read_loads
from dialer.metrics import (
    ATTEMPTS_FINISHED,
    ATTEMPTS_OPEN,
    CONTACTS_WAITING,
    LINE_ALLOWED,
    LINE_USED,
    OLDEST_CALL_S,
    OPERATORS,
    PAUSED,
)
from dialer.moments import unix_ms
from dialer.operators import OperatorLoad, read_operator_load
from dialer.pauses import Pause, PauseKind, in_force
from dialer.tables import Stage
from dialer.waking import Trouble
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

_REFRESH_S = 5.0


@dataclass(frozen=True)
class LineUse:
    """One line's load against its limits."""

    line: Line
    active: int
    last_minute: int
    today: int


@dataclass(frozen=True)
class Status:
    """How the campaign stands.

    Attributes:
        operators: None when it is dialled without regard to operators.
        oldest_call_s: age of the oldest call no operator was called for yet, seconds; 0: none.
        oldest_talk_s: the same for calls an operator was called for.
    """

    pauses: tuple[Pause, ...]
    lines: tuple[LineUse, ...]
    contacts_waiting: int
    attempts_open: int
    attempts_done: int
    operators: OperatorLoad | None
    oldest_call_s: float
    oldest_talk_s: float


class StatusReader:
    """Reads the status, and keeps the gauges up to date."""

    def __init__(self, storage: Storage, rules: Rules, clock: Clock) -> None:
        self._storage = storage
        self._rules = rules
        self._clock = clock

    async def read(self) -> Status:
        """Read the status.

        Raises:
            StoreUnavailable: the database is away.
        """
        async with self._storage.transaction() as connection:
            now = self._clock.now()
            now_ms = unix_ms(now)
            today = self._rules.window.local_date(now).isoformat()
            loads = await read_loads(connection, self._rules.lines, now_ms, today)
            pauses = await in_force(connection)
            waiting = await count_waiting(connection)
            under_way, done = await count(connection)
            oldest_ms = await oldest_calls_ms(connection)
            operators = None
            if (slots := self._rules.operator_slots) is not None:
                operators = await read_operator_load(connection, slots)
        lines = tuple(_use(line, loads[line.number]) for line in self._rules.lines)
        talk_ms = oldest_ms.pop(Stage.WITH_OPERATOR, None)
        return Status(
            pauses=tuple(pauses),
            lines=lines,
            contacts_waiting=waiting,
            attempts_open=under_way,
            attempts_done=done,
            operators=operators,
            oldest_call_s=_age_s(min(oldest_ms.values(), default=None), now_ms),
            oldest_talk_s=_age_s(talk_ms, now_ms),
        )

    async def run(self) -> None:
        """Refresh the gauges until cancelled."""
        trouble = Trouble("the status cannot be read", "the status is read again")
        while True:
            try:
                _show(await self.read())
                trouble.over()
            except StoreUnavailable as error:
                trouble.on(error)
            await asyncio.sleep(_REFRESH_S)


def _use(line: Line, load: LineLoad) -> LineUse:
    return LineUse(line, load.active, load.minute, load.today)


def _age_s(began_ms: int | None, now_ms: int) -> float:
    return 0.0 if began_ms is None else max(0, now_ms - began_ms) / 1000


def _show(status: Status) -> None:
    for use in status.lines:
        number, limits = use.line.number, use.line.limits
        for limit, used, allowed in (
            ("concurrent", use.active, limits.max_concurrent),
            ("minute", use.last_minute, limits.max_per_minute),
            ("day", use.today, limits.max_per_day),
        ):
            LINE_USED.labels(number, limit).set(used)
            LINE_ALLOWED.labels(number, limit).set(allowed)
    held = {pause.kind for pause in status.pauses}
    for kind in PauseKind:
        PAUSED.labels(kind).set(kind in held)
    if status.operators is not None:
        OPERATORS.labels("slots").set(status.operators.slots)
        OPERATORS.labels("busy").set(status.operators.busy)
        OPERATORS.labels("expected").set(status.operators.expected)
    CONTACTS_WAITING.set(status.contacts_waiting)
    ATTEMPTS_OPEN.set(status.attempts_open)
    ATTEMPTS_FINISHED.set(status.attempts_done)
    OLDEST_CALL_S.labels("before_operator").set(status.oldest_call_s)
    OLDEST_CALL_S.labels("with_operator").set(status.oldest_talk_s)
