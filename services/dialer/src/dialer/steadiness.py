"""Whether the machine's clock runs on as seconds do: limits count by it."""

from __future__ import annotations

import structlog

from servicekit.clock import Clock

log = structlog.get_logger(__name__)

_JUMP_S = 2.0
"""What a clock may be corrected by between two looks; a network's time service stays below."""
_FORGOTTEN_AFTER_S = 60.0
"""The longest time that calls are counted in, but for the day."""


class Steadiness:
    """Compares the clock with the seconds that never jump, each time it is asked.

    Set forward, the clock would make the calls of the last minute look old, and there would be room
    for as many again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s = self._ahead()
        self._until_s = clock.monotonic_s()

    def _ahead(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic_s()

    def unsure_for_s(self) -> float:
        """Say for how many seconds to come calls cannot be counted; 0 when they can."""
        now_s, ahead_s = self._clock.monotonic_s(), self._ahead()
        jumped_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        if abs(jumped_s) > _JUMP_S:
            log.warning("the clock was set: no call is placed for a minute", by_s=round(jumped_s))
            self._until_s = now_s + _FORGOTTEN_AFTER_S
        return max(0.0, self._until_s - now_s)
