"""The circuit breaker's states."""

from __future__ import annotations

from datetime import UTC, datetime

from servicekit.breaker import Breaker, BreakerState


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> datetime:
        """Give the time."""
        return datetime.fromtimestamp(self.now_s, UTC)

    def monotonic_s(self) -> float:
        """Give the seconds."""
        return self.now_s


def test_it_opens_at_the_threshold_and_not_before() -> None:
    """Only failures in a row open it; a success in between starts the count again."""
    breaker = Breaker(threshold=2, clock=HandClock())
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows()


def test_one_trial_after_the_pause() -> None:
    """After the pause one call is let through; its success closes, its failure opens again."""
    clock = HandClock()
    breaker = Breaker(threshold=1, open_s=10, clock=clock)
    breaker.failed()
    clock.now_s = 10
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    clock.now_s = 20
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state == BreakerState("closed")


def test_a_trial_that_never_reports_does_not_block_for_ever() -> None:
    """When a trial's outcome is never told, another one is let through after a further pause."""
    clock = HandClock()
    breaker = Breaker(threshold=1, open_s=10, clock=clock)
    breaker.failed()
    clock.now_s = 10
    assert breaker.allows()
    clock.now_s = 20
    assert breaker.allows()
