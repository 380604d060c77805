"""A circuit breaker: stop asking a peer that keeps failing, try it again after a while."""

from __future__ import annotations

import enum

from servicekit.clock import Clock, SystemClock


class BreakerState(enum.Enum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts failures in a row; opens at a threshold; lets one trial through after a pause.

    Ask `allows()` before each call and tell `succeeded()` or `failed()` after it.
    """

    def __init__(
        self, *, threshold: int = 5, open_s: float = 15.0, clock: Clock | None = None
    ) -> None:
        self._threshold = threshold
        self._open_s = open_s
        self._clock = clock or SystemClock()
        self._failures = 0
        self._opened_at_s: float | None = None
        self._trial_at_s: float | None = None

    @property
    def state(self) -> BreakerState:
        """Where the breaker stands now."""
        if self._opened_at_s is None:
            return BreakerState.CLOSED
        if self._clock.monotonic_s() - self._opened_at_s >= self._open_s:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def allows(self) -> bool:
        """Whether a call may go through; in half-open, one trial per pause."""
        state = self.state
        if state is not BreakerState.HALF_OPEN:
            return state is BreakerState.CLOSED
        now_s = self._clock.monotonic_s()
        if self._trial_at_s is not None and now_s - self._trial_at_s < self._open_s:
            return False
        self._trial_at_s = now_s
        return True

    def succeeded(self) -> None:
        """Close: the peer answers."""
        self._failures = 0
        self._opened_at_s = self._trial_at_s = None

    def failed(self) -> None:
        """Count a failure; open at the threshold, or again after a failed trial."""
        self._failures += 1
        if self._opened_at_s is not None or self._failures >= self._threshold:
            self._opened_at_s = self._clock.monotonic_s()
            self._trial_at_s = None

    def open_now(self) -> None:
        """Open at once, for failures that will not pass by themselves (no credit)."""
        self._opened_at_s = self._clock.monotonic_s()
        self._trial_at_s = None
