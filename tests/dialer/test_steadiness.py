"""A clock that is set makes no room within the limits."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dialer.claim import Claimer
from dialer.limits import Limit, Line, LineLimits
from dialer.steadiness import Steadiness
from dialer_support.campaign import add, claimed, refused, rules, static_contact
from servicekit.storage import Storage
from support.timing import HandClock


class SetClock(HandClock):
    """A clock that can be set while seconds go on.

    Attributes:
        set_by_s: how far it was set, seconds; behind the true time below 0.
    """

    set_by_s: float = 0.0

    def now(self) -> datetime:
        """Give the time as it was set."""
        return super().now() + timedelta(seconds=self.set_by_s)


async def test_a_clock_set_ahead_frees_no_line(storage: Storage) -> None:
    """Two calls a minute are two in sixty seconds that really passed, whatever the clock says."""
    clock = SetClock()
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, rules(Line("1001", LineLimits(9, 2, 100))), clock)
    for _ in range(2):
        await claimed(claimer)
    clock.set_by_s = 3600
    held = await refused(claimer)
    assert held.limits == {Limit.MINUTE}
    assert held.until_ms == int(clock.now().timestamp() * 1000) + 60_000
    clock.advance(59)
    assert (await refused(claimer)).limits == {Limit.MINUTE}
    clock.advance(1)
    await claimed(claimer)


@pytest.mark.parametrize("set_by_s", [3600, 3, -3, -3600])
def test_either_way_a_minute_is_unsure(set_by_s: float) -> None:
    """Ahead or back, it takes sixty seconds until the last minute can be counted again."""
    clock = SetClock()
    steadiness = Steadiness(clock)
    clock.advance(5)
    assert steadiness.unsure_for_s() == 0
    clock.set_by_s = set_by_s
    assert steadiness.unsure_for_s() == 60
    clock.advance(40)
    assert steadiness.unsure_for_s() == 20
    clock.set_by_s = 0  # and back
    assert steadiness.unsure_for_s() == 60
    clock.advance(60)
    assert steadiness.unsure_for_s() == 0


def test_a_time_service_that_corrects_the_clock_stops_nothing() -> None:
    """A clock that is brought right little by little may be counted on."""
    clock = SetClock()
    steadiness = Steadiness(clock)
    for _ in range(100):
        clock.advance(10)
        clock.set_by_s += 0.5
        assert steadiness.unsure_for_s() == 0
