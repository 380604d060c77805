"""A leg: one channel of a call, and the states it may go through.

Two rules: a leg only moves along the table, and GONE is final. A move that the table does not have
is an event out of order; it is refused and counted by the caller.
"""

from __future__ import annotations

import enum


class LegState(enum.Enum):
    """Where a leg stands."""

    DIALING = "dialing"
    RINGING = "ringing"
    UP = "up"
    GONE = "gone"


_MOVES: dict[LegState, frozenset[LegState]] = {
    LegState.DIALING: frozenset({LegState.RINGING, LegState.UP, LegState.GONE}),
    LegState.RINGING: frozenset({LegState.UP, LegState.GONE}),
    LegState.UP: frozenset({LegState.GONE}),
    LegState.GONE: frozenset(),
}


class Leg:
    """One channel.

    Attributes:
        channel_id: Asterisk's id of the channel, chosen by us (inbound: by Asterisk).
    """

    def __init__(self, channel_id: str, state: LegState = LegState.DIALING) -> None:
        self.channel_id = channel_id
        self._state = state

    @property
    def state(self) -> LegState:
        """Where the leg stands."""
        return self._state

    def move(self, to: LegState) -> bool:
        """Go to a state; False when the table does not allow it (nothing changes)."""
        if to not in _MOVES[self._state]:
            return False
        self._state = to
        return True
