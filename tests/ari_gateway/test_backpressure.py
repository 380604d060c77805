"""Push-back: how long new calls wait for speech and intent."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from ari_gateway.backpressure import Backpressure
from support.timing import HandClock


@pytest.fixture
def clock() -> HandClock:
    """Give a clock in the test's hand."""
    return HandClock()


@pytest.fixture
def pressure(clock: HandClock) -> Backpressure:
    """Give a fresh one."""
    return Backpressure(clock=clock)


def held_s(service: str) -> float | None:
    """Read how long calls are held for a service."""
    return REGISTRY.get_sample_value("salehi_gateway_push_back_seconds", {"service": service})


def test_without_trouble_nothing_is_held(pressure: Backpressure) -> None:
    """As long as nobody pushes back, every call is let through."""
    pressure.understood("speech")
    assert [pressure.admit() for _ in range(100)] == [""] * 100


def test_a_push_back_holds_calls_for_two_seconds(pressure: Backpressure, clock: HandClock) -> None:
    """After a refusal no call is let through for two seconds, and the reason names the service."""
    pressure.pushed_back("speech", "full")
    assert pressure.obstacle == "speech is full: no new outbound calls for 2 s"
    clock.advance(1.9)
    assert pressure.admit() == "speech is full: no new outbound calls for 2 s"
    clock.advance(0.1)
    assert pressure.obstacle == ""


def test_after_the_hold_one_call_is_let_through_each_time(
    pressure: Backpressure, clock: HandClock
) -> None:
    """One call passes after each hold; the next waits for another hold, or for a good turn."""
    pressure.pushed_back("speech", "full")
    let_through = 0
    for _ in range(100):  # 10 s in steps of 0.1 s
        clock.advance(0.1)
        let_through += pressure.admit() == ""
    assert let_through == 5


def test_refused_trials_double_the_hold_up_to_thirty_seconds(
    pressure: Backpressure, clock: HandClock
) -> None:
    """Each trial call that is refused doubles the hold: 2, 4, 8, 16, 30, 30 seconds."""
    holds: list[float] = []
    pressure.pushed_back("intent", "too slow")
    for _ in range(6):
        held_s = 0.0
        while pressure.admit():
            clock.advance(0.5)
            held_s += 0.5
        holds.append(held_s)
        clock.advance(0.25)
        pressure.pushed_back("intent", "too slow")
    assert holds == [2, 4, 8, 16, 30, 30]


def test_many_refusals_at_once_are_one(pressure: Backpressure, clock: HandClock) -> None:
    """The live calls that are refused during a hold do not lengthen it."""
    for _ in range(20):
        pressure.pushed_back("speech", "full")
    clock.advance(1)
    pressure.pushed_back("speech", "full")
    clock.advance(1)
    assert pressure.admit() == ""


def test_an_understood_trial_ends_the_hold(pressure: Backpressure, clock: HandClock) -> None:
    """When the call that was let through is understood, all calls are let through again."""
    pressure.pushed_back("speech", "full")
    clock.advance(2)
    assert pressure.admit() == ""
    assert pressure.obstacle
    pressure.understood("speech")
    assert [pressure.admit() for _ in range(3)] == ["", "", ""]
    pressure.pushed_back("speech", "full")
    assert held_s("speech") == 2


def test_a_service_that_serves_some_is_still_asked_less(
    pressure: Backpressure, clock: HandClock
) -> None:
    """A good turn right after a refusal leaves the first two seconds of the hold, no more."""
    pressure.pushed_back("speech", "full")
    clock.advance(0.5)
    pressure.understood("speech")
    assert held_s("speech") == 1.5
    clock.advance(1.5)
    assert [pressure.admit() for _ in range(3)] == ["", "", ""]


def test_a_good_turn_shortens_a_long_hold(pressure: Backpressure, clock: HandClock) -> None:
    """A service that is back ends a hold of thirty seconds at once."""
    pressure.pushed_back("speech", "unavailable")
    for _ in range(5):
        clock.advance(60)
        pressure.pushed_back("speech", "unavailable")
    clock.advance(5)
    assert held_s("speech") == 25
    pressure.understood("speech")
    assert pressure.obstacle == ""


def test_a_good_turn_early_in_a_long_hold_leaves_two_seconds_of_it(
    pressure: Backpressure, clock: HandClock
) -> None:
    """A good turn half a second into a hold of four seconds shortens it to two."""
    pressure.pushed_back("speech", "full")
    clock.advance(60)
    pressure.pushed_back("speech", "full")
    assert held_s("speech") == 4
    clock.advance(0.5)
    pressure.understood("speech")
    assert held_s("speech") == 1.5


def test_one_service_does_not_speak_for_another(pressure: Backpressure, clock: HandClock) -> None:
    """A good turn at speech does not lift the hold for intent."""
    pressure.pushed_back("intent", "full")
    clock.advance(2)
    assert pressure.admit() == ""
    pressure.understood("speech")
    assert "intent is full" in pressure.obstacle


def test_the_gauge_tells_how_long_calls_are_held(pressure: Backpressure, clock: HandClock) -> None:
    """The metric shows the seconds left, by service, and 0 without a hold."""
    pressure.pushed_back("speech", "full")
    clock.advance(0.5)
    assert held_s("speech") == 1.5
    assert held_s("intent") == 0
