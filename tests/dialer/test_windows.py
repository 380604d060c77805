from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.windows import CallWindow

TEHRAN = ZoneInfo("Asia/Tehran")
MOMENTS = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("local", "is_open"),
    [("08:59", False), ("09:00", True), ("20:59", True), ("21:00", False), ("00:00", False)],
)
def test_the_window_includes_its_opening_and_excludes_its_closing(
    local: str, *, is_open: bool
) -> None:
    """09:00 is inside 09:00-21:00 and 21:00 is not, by the clock on Tehran's walls."""
    window = CallWindow.parse("09:00-21:00", TEHRAN)
    moment = datetime.fromisoformat(f"2026-05-04T{local}:00").replace(tzinfo=TEHRAN)
    assert window.is_open(moment.astimezone(UTC)) is is_open


@pytest.mark.parametrize(
    "text",
    ["", "9-21", "21:00-09:00", "09:00-09:00", "09:00-24:01", "25:00-26:00", "09:60-10:00",
     "09:00–21:00", "۰۹:۰۰-۲۱:۰۰", "always", "00:00-99:00"],
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    """A window that cannot be understood, is empty or runs over midnight is no window."""
    with pytest.raises(ValueError, match=r"HH:MM|open"):
        CallWindow.parse(text, TEHRAN)


@given(moment=MOMENTS)
def test_all_day_is_always_open(moment: datetime) -> None:
    """00:00-24:00 is open at every moment."""
    assert CallWindow.parse("00:00-24:00", TEHRAN).is_open(moment)


@given(moment=MOMENTS)
def test_the_next_opening_is_the_first_open_moment(moment: datetime) -> None:
    """The next opening is open, not in the past, and a second before it the window was closed."""
    window = CallWindow.parse("09:00-21:00", TEHRAN)
    opens = window.opens_next(moment)
    assert window.is_open(opens)
    assert opens >= moment
    assert opens == moment or not window.is_open(opens - timedelta(seconds=1))
    assert opens - moment <= timedelta(hours=12)


@given(moment=MOMENTS, text=st.sampled_from(["09:00-21:00", "00:00-12:30", "18:00-24:00"]))
def test_the_next_closing_is_the_end_of_the_open_window(moment: datetime, text: str) -> None:
    """From an open moment the window is open until just before it closes, and not after."""
    window = CallWindow.parse(text, TEHRAN)
    opened = window.opens_next(moment)
    closes = window.closes_next(opened)
    assert closes is not None
    assert opened < closes <= opened + timedelta(hours=12, minutes=30)
    assert window.is_open(closes - timedelta(milliseconds=1))
    assert not window.is_open(closes)


def test_a_window_that_is_always_open_never_closes() -> None:
    """00:00-24:00 has no end, at midnight neither."""
    window = CallWindow.parse("00:00-24:00", TEHRAN)
    assert window.closes_next(datetime(2026, 7, 4, 20, 29, tzinfo=UTC)) is None


def test_the_local_day_ends_at_tehrans_midnight() -> None:
    """Half past eight in the evening UTC is the next day in Tehran (+03:30, no daylight saving)."""
    window = CallWindow.parse("00:00-24:00", TEHRAN)
    before, after = (
        datetime(2026, 7, 4, 20, 29, tzinfo=UTC),
        datetime(2026, 7, 4, 20, 30, tzinfo=UTC),
    )
    assert window.local_date(before).isoformat() == "2026-07-04"
    assert window.local_date(after).isoformat() == "2026-07-05"
    assert window.next_midnight(before) == after
