"""Claims and the hours in which people may be called."""

from __future__ import annotations

from datetime import timedelta

from dialer.claim import Claimer, Refusal
from dialer.limits import ORIGINATE_MARGIN_MS, ORIGINATE_WITHIN_MS
from dialer.moments import unix_ms
from dialer.windows import CallWindow
from dialer_support.campaign import TEHRAN, add, claimed, refused, rules, static_contact
from servicekit.storage import Storage
from support.timing import HandClock


async def test_nobody_is_called_outside_the_window(storage: Storage, clock: HandClock) -> None:
    """A second before nine nothing is claimed, at nine it is; the refusal names that moment."""
    await add(storage, [static_contact(1)], clock)
    window = CallWindow.parse("09:00-21:00", TEHRAN)
    claimer = Claimer(storage, rules(window=window), clock)
    nine = clock.now().astimezone(TEHRAN).replace(hour=9, minute=0) + timedelta(days=1)
    clock.jump(nine - timedelta(seconds=1))
    closed = await refused(claimer)
    assert (closed.why, closed.until_ms) == (Refusal.WINDOW, unix_ms(nine))
    clock.jump(nine)
    await claimed(claimer)


async def test_no_call_leaves_after_the_window_has_closed(
    storage: Storage, clock: HandClock
) -> None:
    """What is claimed just before the end must be on the trunk by then; before, it has 0.9 s."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    claimer = Claimer(storage, rules(window=CallWindow.parse("09:00-21:00", TEHRAN)), clock)
    early = await claimed(claimer)
    assert early.originate_before_ms == early.claimed_at_ms + ORIGINATE_WITHIN_MS
    closes = clock.now().astimezone(TEHRAN).replace(hour=21, minute=0)
    clock.jump(closes - timedelta(milliseconds=300))
    late = await claimed(claimer)
    assert late.originate_before_ms == unix_ms(closes) - ORIGINATE_MARGIN_MS
