from __future__ import annotations

import asyncio

from dialer.waking import DialBell

_SHORT_S = 0.05
_NEVER_S = 3600.0


async def wait(bell: DialBell, *, heeds_ends: bool = True, at_most_s: float = _NEVER_S) -> float:
    """Wait for the bell; give the seconds that took, and fail when it is not heard."""
    now_s = asyncio.get_running_loop().time
    began_s = now_s()
    async with asyncio.timeout(10):
        await bell.wait(at_most_s, heeds_ends=heeds_ends)
    return now_s() - began_s


async def test_what_rang_while_nobody_waited_is_heard_once() -> None:
    """A ring and an end are heard by the next wait, and not by the one after it."""
    bell = DialBell()
    for ring in (bell.ring, bell.ring_for_end):
        ring()
        await wait(bell)
        assert await wait(bell, at_most_s=_SHORT_S) >= _SHORT_S


async def test_whoever_waits_is_woken() -> None:
    """A ring and an end during a wait end it."""
    bell = DialBell()
    for ring in (bell.ring, bell.ring_for_end):
        asyncio.get_running_loop().call_later(_SHORT_S, ring)
        assert await wait(bell) >= _SHORT_S


async def test_an_end_wakes_nobody_who_waits_for_time() -> None:
    """Where only time can free a line the end of a call, before or during the wait, is no news."""
    bell = DialBell()
    bell.ring_for_end()
    asyncio.get_running_loop().call_later(_SHORT_S / 2, bell.ring_for_end)
    assert await wait(bell, heeds_ends=False, at_most_s=_SHORT_S) >= _SHORT_S
    bell.ring()
    await wait(bell, heeds_ends=False)


async def test_a_ring_for_later_can_only_shorten_a_wait() -> None:
    """Rung for a moment to come, the bell wakes then; a nearer moment stays as it was."""
    bell = DialBell()
    asyncio.get_running_loop().call_soon(bell.ring, _SHORT_S)
    assert await wait(bell) >= _SHORT_S
    bell.ring(in_s=_NEVER_S)
    assert await wait(bell, at_most_s=_SHORT_S) >= _SHORT_S
