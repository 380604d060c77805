"""Calls on record: what was placed, what came of it, and what the reporter still has to hear.

A crash of the gateway forgets nothing that was promised: an attempt that was accepted is known to
be accepted, a live call can be gone on with, and a result stays until the reporter has
acknowledged it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from salehi.calls.v1 import calls_pb2

REMEMBERED_FOR = timedelta(days=2)
"""How long a call that was reported stays known."""


class AlreadyOnRecord(Exception):  # noqa: N818 - a state of the world
    """The attempt is on record; nothing was changed."""


@dataclass(frozen=True)
class Entry:
    """A call as it is put on record.

    Attributes:
        call: as the contract describes it.
        channel_id: the customer's channel.
        saved: what another process needs to go on with it; personal data.
    """

    call: calls_pb2.Call
    channel_id: str
    saved: bytes = b""


class Ledger(Protocol):
    """The record, one entry per attempt. Every method may raise StoreUnavailable."""

    async def begin(self, entry: Entry) -> None:
        """Put a call on record.

        Raises:
            AlreadyOnRecord: its attempt has been before.
        """
        ...

    async def keep(self, entries: Sequence[Entry]) -> None:
        """Keep how live calls stand; one that has ended, or is not on record, stays as it is."""
        ...

    async def end(self, call: calls_pb2.Call) -> None:
        """Keep how a call ended."""
        ...

    async def reported(self, attempt_ids: Sequence[str]) -> None:
        """Note that the reporter has these results."""
        ...

    async def find(self, attempt_ids: Sequence[str]) -> list[calls_pb2.Call]:
        """Give what is on record of these attempts."""
        ...

    async def ended(
        self, attempt_ids: Sequence[str] = (), *, since: datetime | None = None
    ) -> list[calls_pb2.Call]:
        """Give the ended calls that are still remembered, oldest first.

        Args:
            attempt_ids: only these; empty means all.
            since: only those that ended at this moment or later; aware.
        """
        ...

    async def unfinished(self) -> list[Entry]:
        """Give every call on record that has not ended, oldest first."""
        ...

    async def unreported(self) -> list[calls_pb2.Call]:
        """Give every ended call whose result the reporter has not acknowledged, oldest first."""
        ...

    async def forget_old(self) -> None:
        """Drop calls that were reported days ago."""
        ...
