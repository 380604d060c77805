"""Whether a new call is taken: the gateway's readiness, its room, and push-back from its peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ari_gateway.backpressure import Backpressure


class NotReady(Exception):  # noqa: N818 - a state, not an error
    """No call may be dialled now; the message says why."""


class AtCapacity(Exception):  # noqa: N818 - likewise
    """This gateway, speech or intent has no room for another call; the message says which."""


def refuse_when_late(before: datetime | None, now: datetime) -> None:
    """Refuse a call that had to leave before a moment that is past.

    Raises:
        NotReady: it is.
    """
    late_s = (now - before).total_seconds() if before else -1.0
    if late_s >= 0:
        raise NotReady(
            f"asked too late: originate_before was {late_s:.1f} s ago by this machine's clock; "
            "do the clocks of both sides agree?"
        )


@dataclass(frozen=True)
class Room:
    """How many calls may be live at once.

    Attributes:
        max_live_calls: in all.
        inbound_reserve: of these kept free for inbound ones; fewer than `max_live_calls`.
    """

    max_live_calls: int
    inbound_reserve: int = 0

    @property
    def for_outbound(self) -> int:
        """With so many calls live, no outbound one is added."""
        return self.max_live_calls - self.inbound_reserve


class Admission:
    """Lets calls in. Inbound ones need room only; outbound ones leave some, and mind push-back."""

    def __init__(
        self, room: Room, *, why_not_ready: Callable[[], str], pressure: Backpressure
    ) -> None:
        """Make the door.

        Args:
            room: how many calls may be live.
            why_not_ready: gives why nothing may be dialled, or an empty text.
            pressure: what speech and intent can take.
        """
        self._room = room
        self._why_not_ready = why_not_ready
        self._pressure = pressure
        self._closed = False

    def close(self) -> None:
        """Let nobody in any more: the gateway is stopping."""
        self._closed = True

    def let_inbound_in(self, live: int) -> None:
        """Take one more inbound call beside `live` others.

        Raises:
            NotReady: no call may be led now.
            AtCapacity: too many live calls.
        """
        self._check_ready()
        if live >= self._room.max_live_calls:
            raise AtCapacity(f"{live} calls are live (MAX_LIVE_CALLS)")

    def let_outbound_in(self, live: int) -> None:
        """Take one more outbound call beside `live` others.

        Raises:
            NotReady: nothing may be dialled now.
            AtCapacity: too many live calls, or a peer has no room for another.
        """
        self._check_outbound(live)
        obstacle = self._pressure.admit()
        if obstacle:
            raise AtCapacity(obstacle)

    def why_no_outbound(self, live: int) -> str:
        """Say why an outbound call beside `live` others would be refused; empty when not."""
        try:
            self._check_outbound(live)
        except (NotReady, AtCapacity) as refusal:
            return str(refusal)
        return self._pressure.obstacle

    def _check_ready(self) -> None:
        reason = "the gateway is stopping" if self._closed else self._why_not_ready()
        if reason:
            raise NotReady(reason)

    def _check_outbound(self, live: int) -> None:
        self._check_ready()
        if live >= self._room.for_outbound:
            raise AtCapacity(f"{live} calls are live (MAX_LIVE_CALLS less INBOUND_RESERVE)")
