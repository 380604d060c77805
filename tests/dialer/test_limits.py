from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from dialer.limits import (
    LEFT_BY_MS,
    MINUTE_MS,
    Hold,
    Limit,
    Line,
    LineLimits,
    LineLoad,
    Moment,
    NoRoom,
    Pace,
    hold_on,
    minute_frees_ms,
    rank_lines,
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
    frees_ms = minute_frees_ms(past, LINE.limits.max_per_minute)
    assert hold_on(LINE, LineLoad(active=2), PACE, AT) == Hold(Limit.CONCURRENT, None)
    assert hold_on(LINE, LineLoad(today=5), PACE, AT) == Hold(Limit.DAY, AT.next_midnight_ms)
    minute = hold_on(LINE, LineLoad(minute=3, minute_frees_ms=frees_ms), PACE, AT)
    assert minute == Hold(Limit.MINUTE, past[0] + MINUTE_MS + LEFT_BY_MS)
    left = LineLoad(minute=1, left_by_ms=now - 300)
    assert hold_on(LINE, left, PACE, AT) == Hold(Limit.SPACING, now + 700)


def test_the_least_loaded_line_is_the_smallest_of_active_minute_day() -> None:
    """Active calls decide first, then the last minute, then the day, then the order of lines."""
    lines = [Line(number, LineLimits(10, 10, 10)) for number in ("1", "2", "3")]

    def chosen(*loads: LineLoad) -> str:
        ranked = rank_lines(lines, dict(zip("123", loads, strict=True)), PACE, AT)
        assert isinstance(ranked, list)
        return "".join(line.number for line in ranked)

    assert chosen(LineLoad(active=1), LineLoad(minute=1, today=9), LineLoad(active=2)) == "213"
    assert chosen(LineLoad(minute=1), LineLoad(today=9), LineLoad(today=8)) == "321"
    assert chosen(LineLoad(), LineLoad(), LineLoad()) == "123"


def test_the_cap_over_all_lines_counts_lines_that_are_not_configured() -> None:
    """A call on a line taken out of the settings still counts for the total."""
    loads = {"1001": LineLoad(active=1), "gone": LineLoad(active=1)}
    assert rank_lines([LINE], loads, Pace(0, max_total=2), AT) == NoRoom(
        frozenset({Limit.TOTAL}), None
    )
    assert rank_lines([LINE], loads, Pace(0, max_total=3), AT) == [LINE]


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
    now_ms, claimed, left = 0, list[int](), list[int]()
    while len(claimed) < 40:
        recent = tuple(at for at in claimed if at > now_ms - MINUTE_MS - LEFT_BY_MS)
        left_by_ms = claimed[-1] + LEFT_BY_MS if recent else None
        frees_ms = minute_frees_ms(recent, per_minute)
        load = LineLoad(minute_frees_ms=frees_ms, left_by_ms=left_by_ms)
        hold = hold_on(line, load, pace, Moment(now_ms, 2**60))
        if hold is None:
            claimed.append(now_ms)
            left.append(now_ms + dice.choice([0, 20, LEFT_BY_MS]))  # on the trunk, at the latest
            now_ms += dice.choice([0, 1, 50])
        else:
            assert hold.until_ms is not None
            assert hold.until_ms > now_ms
            now_ms = hold.until_ms + dice.choice([-1, 0, 0, 700])
    left.sort()
    for first, over in zip(left, left[per_minute:], strict=False):
        assert over - first >= MINUTE_MS
    for one, following in itertools.pairwise(left):
        assert not spacing_ms or following - one >= spacing_ms


@given(ages_ms=st.lists(st.integers(0, 60_999), max_size=6), per_minute=st.integers(1, 4))
def test_a_hold_with_a_time_is_over_at_that_time(ages_ms: list[int], per_minute: int) -> None:
    """When a minute is full, waiting until it frees is enough and less is not."""
    claimed_ms = sorted(AT.now_ms - age_ms for age_ms in ages_ms)

    def count(now_ms: int) -> int:
        return sum(at_ms > now_ms - MINUTE_MS - LEFT_BY_MS for at_ms in claimed_ms)

    frees_ms = minute_frees_ms(claimed_ms, per_minute)
    if frees_ms is None:
        assert count(AT.now_ms) < per_minute
        return
    assert count(frees_ms) < per_minute
    assert count(frees_ms - 1) >= per_minute
