"""The failure breaker: technical failures in a row stop the campaign before it burns contacts.

It opens in the same transaction that records the result which opened it, so neither a crash nor a
repeated report can lose or double an opening. What follows from an opening (pausing the dialer,
telling the admins) is stored as work to do and done by the keeper and the alert sender.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.storage import Storage
from reporter.tables import breaker
from salehi.calls.v1 import calls_pb2

_OUT_OF_CREDIT = "out_of_credit"
_REASON_LENGTH = 200


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
    """

    is_open: bool = False
    opening: int = 0
    failures: int = 0
    reason: str = ""
    opened_at_ms: int = 0
    pause_stored: bool = False

    @property
    def is_out_of_credit(self) -> bool:
        """Whether a provider's empty account opened it."""
        return self.reason.startswith(_OUT_OF_CREDIT)


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When to open.

    Attributes:
        threshold: technical failures in a row.
    """

    threshold: int

    def after(self, state: BreakerState, outcome: calls_pb2.Outcome, now_ms: int) -> BreakerState:
        """Give the state after one more result.

        Technical failures count, anything else starts the count again. An empty account opens at
        once, because no call can succeed until somebody pays. While open nothing changes: calls
        that were under way come in late and mean nothing new.
        """
        if state.is_open:
            return state
        empty_account = outcome.reason.startswith(_OUT_OF_CREDIT)
        if not (outcome.technical or empty_account):
            return replace(state, failures=0)
        failures = state.failures + 1
        if failures < self.threshold and not empty_account:
            return replace(state, failures=failures)
        return BreakerState(
            is_open=True,
            opening=state.opening + 1,
            failures=failures,
            reason=(outcome.reason or "unknown")[:_REASON_LENGTH],
            opened_at_ms=now_ms,
        )


async def lock_breaker(connection: AsyncConnection) -> BreakerState:
    """Read the breaker and hold it until the transaction ends: recordings happen one by one."""
    row = (await connection.execute(select(breaker).with_for_update())).one()
    return BreakerState(
        is_open=row.is_open,
        opening=row.opening,
        failures=row.failures,
        reason=row.reason,
        opened_at_ms=row.opened_at_ms,
        pause_stored=row.pause_stored,
    )


async def save_breaker(connection: AsyncConnection, state: BreakerState) -> None:
    """Store the breaker; the transaction must hold it."""
    await connection.execute(
        update(breaker).values(
            is_open=state.is_open,
            opening=state.opening,
            failures=state.failures,
            reason=state.reason,
            opened_at_ms=state.opened_at_ms,
            pause_stored=state.pause_stored,
        )
    )


async def read_breaker(storage: Storage) -> BreakerState:
    """Read the breaker.

    Raises:
        StoreUnavailable: the database is away.
    """
    async with storage.transaction() as connection:
        return await lock_breaker(connection)
