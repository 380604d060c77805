from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from dialer.limits import (
    MINUTE_MS,
    ORIGINATE_MARGIN_MS,
    Hold,
    Limit,
    Line,
    LineLimits,
    LineLoad,
    Moment,
    NoRoom,
    Pace,
    choose_line,
    hold_on,
)

AT = Moment(now_ms=10_000_000, next_midnight_ms=20_000_000)
LINE = Line("1001", LineLimits(2, 3, 5))
PACE = Pace(spacing_ms=1000)


def test_an_idle_line_may_dial() -> None:
    """Nothing holds a line back that carries nothing."""
    assert hold_on(LINE, LineLoad(), PACE, AT) is None


def test_each_limit_holds_until_it_can_end() -> None:
    """Every limit is met at its figure, and says when waiting helps."""
    now = AT.now_ms
    past = (now - 50_000, now - 40_000, now - 30_000)
    assert hold_on(LINE, LineLoad(active=2), PACE, AT) == Hold(Limit.CONCURRENT, None)
    assert hold_on(LINE, LineLoad(today=5), PACE, AT) == Hold(Limit.DAY, AT.next_midnight_ms)
    minute = hold_on(LINE, LineLoad(originated_ms=past), PACE, AT)
    assert minute == Hold(Limit.MINUTE, past[0] + MINUTE_MS + ORIGINATE_MARGIN_MS)
    spacing = hold_on(LINE, LineLoad(originated_ms=(now - 300,)), PACE, AT)
    assert spacing == Hold(Limit.SPACING, now + 700 + ORIGINATE_MARGIN_MS)
    assert hold_on(LINE, LineLoad(active=1, asking=1), PACE, AT) == Hold(Limit.SPACING, None)


def test_the_least_loaded_line_is_the_smallest_of_active_minute_day() -> None:
    """Active calls decide first, then the last minute, then the day, then the order of lines."""
    lines = [Line(number, LineLimits(10, 10, 10)) for number in ("1", "2", "3")]
    old = (AT.now_ms - 30_000,)

    def chosen(*loads: LineLoad) -> str:
        line = choose_line(lines, dict(zip("123", loads, strict=True)), PACE, AT)
        assert isinstance(line, Line)
        return line.number

    assert (
        chosen(LineLoad(active=1), LineLoad(originated_ms=old, today=9), LineLoad(active=2)) == "2"
    )
    assert chosen(LineLoad(originated_ms=old), LineLoad(today=9), LineLoad(today=8)) == "3"
    assert chosen(LineLoad(), LineLoad(), LineLoad()) == "1"


def test_the_cap_over_all_lines_counts_lines_that_are_not_configured() -> None:
    """A call on a line taken out of the settings still counts for the total."""
    loads = {"1001": LineLoad(active=1), "gone": LineLoad(active=1)}
    assert choose_line([LINE], loads, Pace(0, max_total=2), AT) == NoRoom(
        frozenset({Limit.TOTAL}), None
    )
    assert choose_line([LINE], loads, Pace(0, max_total=3), AT) == LINE


@given(
    per_minute=st.integers(1, 8),
    spacing_ms=st.integers(0, 5000),
    seed=st.integers(0, 2**32),
)
def test_no_window_of_a_minute_ever_holds_more_than_allowed(
    per_minute: int, spacing_ms: int, seed: int
) -> None:
    """Dialing whenever allowed, no 60 seconds hold more originates, and none come too close."""
    dice = random.Random(seed)
    line = Line("1", LineLimits(1000, per_minute, 1000))
    pace = Pace(spacing_ms)
    now_ms, originated = 0, list[int]()
    while len(originated) < 40:
        recent = tuple(at for at in originated if at > now_ms - MINUTE_MS - ORIGINATE_MARGIN_MS)
        hold = hold_on(line, LineLoad(originated_ms=recent), pace, Moment(now_ms, 2**60))
        if hold is None:
            originated.append(now_ms)
            now_ms += dice.choice([0, 1, 50])
        else:
            assert hold.until_ms is not None
            assert hold.until_ms > now_ms
            now_ms = hold.until_ms + dice.choice([-1, 0, 0, 700])
    # On the trunk each call may appear up to the margin later than it was acknowledged.
    for first, over in zip(originated, originated[per_minute:], strict=False):
        assert over - (first + ORIGINATE_MARGIN_MS) >= MINUTE_MS
    for one, following in itertools.pairwise(originated):
        assert not spacing_ms or following - (one + ORIGINATE_MARGIN_MS) >= spacing_ms


@given(
    asking=st.integers(0, 4),
    ages_ms=st.lists(st.integers(0, 61_000), max_size=6),
    per_minute=st.integers(1, 4),
)
def test_a_hold_with_a_time_is_over_at_that_time(
    asking: int, ages_ms: list[int], per_minute: int
) -> None:
    """When a hold names the moment it ends, waiting until then is enough and less is not."""
    originated = tuple(sorted(AT.now_ms - age for age in ages_ms))
    line = Line("1", LineLimits(100, per_minute, 100))
    load = LineLoad(asking=asking, originated_ms=originated)
    hold = hold_on(line, load, Pace(0), AT)
    if hold is None or hold.until_ms is None or hold.limit is not Limit.MINUTE:
        return
    assert load.last_minute(hold.until_ms) < per_minute
    assert load.last_minute(hold.until_ms - 1) >= per_minute
