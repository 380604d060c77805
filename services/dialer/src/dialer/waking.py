"""How loops wait: for a bell, for a time, and with growing patience."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, field
from typing import Any

import structlog

from servicekit.clock import Clock

log = structlog.get_logger(__name__)


class Bell:
    """Wakes the one loop that waits for it; rung while nobody waits, it is heard by the next."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the loop."""
        self._rung.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the bell rings, `timeout_s` seconds at most; None waits without end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        self._rung.clear()


class DialBell:
    """Wakes the campaign, but not for what cannot shorten its wait.

    Trying in vain costs as much as a claim, and most of what happens in a call frees no line. Rung
    while nobody waits, it is heard by the next wait.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._wake_at_s = math.inf
        self._has_ended = False

    def ring(self, in_s: float = 0.0) -> None:
        """Wake the campaign in so many seconds at the latest."""
        self._wake_at_s = min(self._wake_at_s, asyncio.get_running_loop().time() + in_s)
        self._rung.set()

    def ring_for_end(self) -> None:
        """Wake the campaign because a call has ended, unless only time can free a line."""
        self._has_ended = True
        self._rung.set()

    async def wait(self, timeout_s: float, *, heeds_ends: bool = True) -> None:
        """Wait until it is time to try again, `timeout_s` seconds at most.

        Args:
            timeout_s: when to try whatever happens.
            heeds_ends: whether the end of a call is a reason to try.
        """
        now_s = asyncio.get_running_loop().time
        self._wake_at_s = min(self._wake_at_s, now_s() + timeout_s)
        while now_s() < self._wake_at_s and not (heeds_ends and self._has_ended):
            self._rung.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._wake_at_s):
                    await self._rung.wait()
        self._wake_at_s = math.inf
        self._has_ended = False


@dataclass(frozen=True)
class Bells:
    """What wakes the dialer's loops.

    Attributes:
        dial: a line may have room, contacts came, or a pause was lifted.
        hungry: nobody is left to call, or dialing is held back by what the panel may lift.
        reconcile: somebody should ask what became of an attempt.
        report: there is a result for the reporter.
    """

    dial: DialBell = field(default_factory=DialBell)
    hungry: Bell = field(default_factory=Bell)
    reconcile: Bell = field(default_factory=Bell)
    report: Bell = field(default_factory=Bell)


class Backoff:
    """Waits longer after each failure in a row, up to a cap."""

    def __init__(self, clock: Clock, *, first_s: float = 0.25, cap_s: float = 5.0) -> None:
        self._clock = clock
        self._first_s = first_s
        self._cap_s = cap_s
        self._step_s = first_s
        self._until_s = 0.0

    def failed(self) -> None:
        """Wait before the next try; failures that come while waiting count as the same one."""
        if self.remaining_s() > 0:
            return
        self._until_s = self._clock.monotonic_s() + self._step_s
        self._step_s = min(self._cap_s, self._step_s * 2)

    def succeeded(self) -> None:
        """Stop waiting; the next failure begins anew."""
        self._until_s = 0.0
        self._step_s = self._first_s

    def remaining_s(self) -> float:
        """How many seconds are left to wait."""
        return max(0.0, self._until_s - self._clock.monotonic_s())


class Trouble:
    """Says once in the log that something is wrong, and once that it is over."""

    def __init__(self, wrong: str, over: str) -> None:
        self._wrong = wrong
        self._over = over
        self._reason: str | None = None

    def on(self, error: Exception | str, **fields: Any) -> None:
        """Tell of a trouble, unless the same one was told last."""
        reason = str(error)
        if reason != self._reason:
            self._reason = reason
            log.warning(self._wrong, reason=reason, **fields)

    def over(self) -> None:
        """Tell that it is over, if it was told."""
        if self._reason is not None:
            self._reason = None
            log.info(self._over)
