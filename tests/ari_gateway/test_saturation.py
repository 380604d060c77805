"""Originates that take longer than usual slow dialing down."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from ari_gateway.backpressure import LONGEST_HOLD_S, Backpressure
from ari_gateway.saturation import OriginateLatency
from support.timing import HandClock

USUAL_S = 0.005


@pytest.fixture
def clock() -> HandClock:
    """Give a clock in the test's hand."""
    return HandClock()


@pytest.fixture
def pressure(clock: HandClock) -> Backpressure:
    """Give a fresh one."""
    return Backpressure(clock=clock)


@pytest.fixture
def latency(pressure: Backpressure) -> OriginateLatency:
    """Give one that has seen fifty usual originates."""
    made = OriginateLatency(pressure)
    for _ in range(50):
        made.took(USUAL_S)
    return made


def until_let_through(pressure: Backpressure, clock: HandClock) -> float:
    """Wait until one call is let through; say how long that took."""
    waited_s = 0.0
    while pressure.admit():
        clock.advance(0.5)
        waited_s += 0.5
    return waited_s


def test_usual_originates_hold_nobody_back(
    pressure: Backpressure, latency: OriginateLatency
) -> None:
    """As long as Asterisk takes originates as usual, every call is let through."""
    assert [pressure.admit() for _ in range(50)] == [""] * 50
    baseline = REGISTRY.get_sample_value("salehi_originate_baseline_seconds")
    assert baseline == pytest.approx(USUAL_S)
    del latency


def test_slow_originates_hold_calls_back(pressure: Backpressure, latency: OriginateLatency) -> None:
    """When most of the last originates took far longer than usual, new calls wait."""
    for _ in range(10):
        latency.took(0.2)
    assert pressure.admit() == ""
    latency.took(0.2)
    assert "asterisk is slow to dial (200 ms)" in pressure.admit()
    left_s = REGISTRY.get_sample_value("salehi_gateway_push_back_seconds", {"service": "asterisk"})
    assert left_s == 2


def test_single_slow_ones_are_no_sign(pressure: Backpressure, latency: OriginateLatency) -> None:
    """One originate in five that takes a second holds nobody back."""
    for _ in range(40):
        for took_s in (1.0, USUAL_S, USUAL_S, USUAL_S, USUAL_S):
            latency.took(took_s)
    assert pressure.admit() == ""


def test_what_is_still_fast_is_never_slow(
    pressure: Backpressure, latency: OriginateLatency
) -> None:
    """Nine times the usual is no reason while that is below fifty milliseconds."""
    for _ in range(40):
        latency.took(0.045)
    assert pressure.admit() == ""


def test_an_asterisk_slow_from_the_start_is_noticed(pressure: Backpressure) -> None:
    """Before the usual is known, over a second is slow in any case."""
    latency = OriginateLatency(pressure)
    for _ in range(5):
        latency.took(1.5)
    assert "asterisk is slow to dial" in pressure.admit()


def test_a_fast_trial_ends_the_hold(
    pressure: Backpressure, clock: HandClock, latency: OriginateLatency
) -> None:
    """When the call let through on trial is taken as usual, all calls are let through again."""
    for _ in range(20):
        latency.took(0.2)
    assert until_let_through(pressure, clock) == 2
    latency.took(USUAL_S)
    assert [pressure.admit() for _ in range(10)] == [""] * 10


def test_a_trial_that_is_neither_slow_nor_well_changes_nothing(
    pressure: Backpressure, clock: HandClock, latency: OriginateLatency
) -> None:
    """Between half of the limit and the limit calls go on trickling, one for each hold."""
    for _ in range(20):
        latency.took(0.2)
    for _ in range(4):
        assert until_let_through(pressure, clock) == 2
        latency.took(0.04)


def test_slow_trials_lengthen_the_hold(
    pressure: Backpressure, clock: HandClock, latency: OriginateLatency
) -> None:
    """Each trial that is slow doubles the hold, and late answers from before do not."""
    for _ in range(40):
        latency.took(5.0)
    holds = []
    for _ in range(6):
        holds.append(until_let_through(pressure, clock))
        latency.took(5.0)
    assert holds == [2, 4, 8, 16, LONGEST_HOLD_S, LONGEST_HOLD_S]


def test_answers_from_before_the_hold_teach_nothing(
    pressure: Backpressure, clock: HandClock, latency: OriginateLatency
) -> None:
    """The slow originates under way when the hold begins do not become the usual."""
    for _ in range(60):
        latency.took(0.2)
    assert until_let_through(pressure, clock) == 2
    latency.took(0.2)
    assert "asterisk is slow" in pressure.admit()


def test_an_asterisk_that_is_slower_for_good_is_not_held_back_for_ever(
    pressure: Backpressure, clock: HandClock, latency: OriginateLatency
) -> None:
    """Where trials stay slow though little is dialled, that becomes the usual in minutes."""
    for _ in range(20):
        latency.took(0.2)
    waited_s = 0.0
    while waited_s < 600:
        waited_s += until_let_through(pressure, clock)
        latency.took(0.2)
        if pressure.admit() == "":
            break
    assert 10 < waited_s < 300
