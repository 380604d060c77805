"""The failure breaker: technical failures in a row stop the campaign before it burns contacts.

It opens in the same transaction that records the result which opened it, so neither a crash nor a
repeated report can lose or double an opening. What follows from an opening (pausing the dialer,
telling the admins) is stored as work to do and done by the keeper and the alert sender.

While it is open, the keeper may have one trial call made to see whether the cause is gone. The
first result of a call that was attempted since decides, again in the transaction that records it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.storage import storable
from reporter.tables import breaker
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.storage import Storage

_OUT_OF_CREDIT = "out_of_credit: "
_REASON_LENGTH = 200
# By so much the dialer's clock may be behind ours; nothing is dialled just before a trial call.
_CLOCK_SLACK_MS = 1000


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Where the breaker stands.

    Attributes:
        is_open: dialing is held back.
        opening: how often it has opened so far; names the present opening while it is open.
        failures: technical failures in a row; stays at its last value while open.
        reason: of the failure that opened it.
        opened_at_ms: Unix milliseconds; 0 when it never opened.
        pause_stored: the dialer has acknowledged the pause of this opening.
        waiting_since_ms: when it opened or the last trial call failed, Unix milliseconds.
        trials_failed: trial calls that failed since it opened.
        trial_granted_at_ms: when a trial call was granted whose result is not known yet, Unix
            milliseconds; 0 when none is.
        trial_passed: a trial call found the cause gone; the dialer's pause is to be lifted.
    """

    is_open: bool = False
    opening: int = 0
    failures: int = 0
    reason: str = ""
    opened_at_ms: int = 0
    pause_stored: bool = False
    waiting_since_ms: int = 0
    trials_failed: int = 0
    trial_granted_at_ms: int = 0
    trial_passed: bool = False

    @property
    def is_out_of_credit(self) -> bool:
        """Whether a provider's empty account opened it."""
        return self.reason.startswith(_OUT_OF_CREDIT)

    @property
    def cause(self) -> str:
        """What opened it, for people: the failure's reason, or who has no credit left."""
        return self.reason.removeprefix(_OUT_OF_CREDIT)


_COLUMNS = tuple(breaker.c[field.name] for field in fields(BreakerState))


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When to open.

    Attributes:
        threshold: technical failures in a row.
    """

    threshold: int

    def after(
        self, state: BreakerState, report: reporter_pb2.ReportResultRequest, now_ms: int
    ) -> BreakerState:
        """Give the state after one more result.

        Technical failures count, anything else starts the count again. An empty account opens at
        once, because no call can succeed until somebody pays. While open only a trial call's result
        changes anything: calls that were under way come in late and mean nothing new.
        """
        outcome = report.outcome
        empty_account = bool(outcome.out_of_credit)
        failed = outcome.technical or empty_account
        if state.is_open:
            if not _is_trial(state, report):
                return state
            return _after_trial(state, now_ms, failed=failed)
        if not failed:
            return replace(state, failures=0)
        failures = state.failures + 1
        if failures < self.threshold and not empty_account:
            return replace(state, failures=failures)
        return BreakerState(
            is_open=True,
            opening=state.opening + 1,
            failures=failures,
            reason=storable(_reason_of(outcome), _REASON_LENGTH),
            opened_at_ms=now_ms,
            waiting_since_ms=now_ms,
        )


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """When an open breaker has a trial call made.

    Attributes:
        first_s: seconds from the opening to the first one; each failed one doubles the wait. 0:
            never, somebody must lift the pause.
        longest_s: no wait is longer, seconds, unless the first one is.
        result_s: a trial call without a result for so long is granted again, seconds.
    """

    first_s: float = 0.0
    longest_s: float = 3600.0
    result_s: float = 600.0

    def due_in_s(self, state: BreakerState, now_ms: int) -> float | None:
        """Give how long until a trial call is to be granted, seconds; None for never."""
        if not self.first_s or state.trial_passed:
            return None
        if state.trial_granted_at_ms:
            due_ms = state.trial_granted_at_ms + self.result_s * 1000
        else:
            doubled_s = self.first_s * 2.0 ** min(state.trials_failed, 32)
            wait_s = max(min(doubled_s, self.longest_s), self.first_s)
            due_ms = state.waiting_since_ms + wait_s * 1000
        return max(0.0, (due_ms - now_ms) / 1000)


def _reason_of(outcome: calls_pb2.Outcome) -> str:
    if outcome.out_of_credit:
        return _OUT_OF_CREDIT + " and ".join(outcome.out_of_credit)
    return outcome.reason or "unknown"


def _is_trial(state: BreakerState, report: reporter_pb2.ReportResultRequest) -> bool:
    """Whether a result is the awaited one; an inbound call says nothing about dialling."""
    if not state.trial_granted_at_ms or state.trial_passed:
        return False
    if report.direction == calls_pb2.DIRECTION_INBOUND or not report.HasField("attempted_at"):
        return False
    attempted_at_ms: int = report.attempted_at.ToMilliseconds()
    return attempted_at_ms + _CLOCK_SLACK_MS >= state.trial_granted_at_ms


def _after_trial(state: BreakerState, now_ms: int, *, failed: bool) -> BreakerState:
    if not failed:
        return replace(state, trial_passed=True)
    return replace(
        state,
        trials_failed=state.trials_failed + 1,
        trial_granted_at_ms=0,
        waiting_since_ms=now_ms,
    )


async def lock_breaker(connection: AsyncConnection) -> BreakerState:
    """Read the breaker and hold it until the transaction ends: recordings happen one by one."""
    row = (await connection.execute(select(*_COLUMNS).with_for_update())).one()
    return BreakerState(**row._mapping)  # noqa: SLF001 - the public name of a row's values


async def save_breaker(connection: AsyncConnection, state: BreakerState) -> None:
    """Store the breaker; the transaction must hold it."""
    await connection.execute(update(breaker).values(asdict(state)))


async def read_breaker(storage: Storage) -> BreakerState:
    """Read the breaker without holding it.

    Raises:
        StoreUnavailable: the database is away.
    """
    async with storage.transaction() as connection:
        row = (await connection.execute(select(*_COLUMNS))).one()
    return BreakerState(**row._mapping)  # noqa: SLF001 - the public name of a row's values


async def keep_breaker(
    connection: AsyncConnection, keeper: str, *, now_ms: int, until_ms: int
) -> bool:
    """Look after the breaker until `until_ms`; False when another reporter already does."""
    free = or_(breaker.c.keeper == keeper, breaker.c.kept_until_ms <= now_ms)
    taken = await connection.execute(
        update(breaker).where(free).values(keeper=keeper, kept_until_ms=until_ms)
    )
    return taken.rowcount == 1
