"""Prompts are checked by playing them where nobody hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.prompts import PromptCheck
from gateway_support.asterisk import Asterisk


@pytest.fixture
def asterisk() -> Asterisk:
    """Give an Asterisk without channels."""
    return Asterisk({})


@pytest.fixture
async def check(asterisk: Asterisk) -> AsyncIterator[PromptCheck]:
    """Give a running check of two prompts."""
    async with AriRest(AriAddress("http://asterisk/ari", "u", "p", "salehi"), http=asterisk) as ari:
        check = PromptCheck(
            ari,
            "salehi",
            sounds="sound:custom/en",
            prompts=["hello", "yes"],
            sound_dir=Path("/sounds"),
        )
        asterisk.tell = lambda event: None if check.handle(event) else pytest.fail("not a check's")
        task = asyncio.create_task(check.run())
        yield check
        task.cancel()
        await asyncio.wait({task})


async def test_nothing_is_ready_before_the_first_check(check: PromptCheck) -> None:
    """Until the prompts have been played once, nothing may be dialled."""
    assert check.why_not_ready


async def test_all_prompts_there(check: PromptCheck, asterisk: Asterisk) -> None:
    """When every prompt plays, the way is free, and nothing of the check is left."""
    check.check_again()
    await asyncio.sleep(2)
    assert check.why_not_ready == ""
    assert asterisk.is_empty
    assert not asterisk.playbacks


async def test_what_a_killed_check_left_is_cleared_away(
    check: PromptCheck, asterisk: Asterisk
) -> None:
    """The bridge of a gateway that was killed in its check stands in nobody's way, and goes."""
    asterisk.bridges["prompt-check-salehi-hello"] = set()
    check.check_again()
    await asyncio.sleep(2)
    assert check.why_not_ready == ""
    assert asterisk.is_empty


async def test_a_missing_prompt_is_named_until_it_is_there(
    check: PromptCheck, asterisk: Asterisk
) -> None:
    """A missing prompt is named with where it belongs; once it is there the way is free."""
    asterisk.missing.add("yes")
    check.check_again()
    await asyncio.sleep(10)
    assert "cannot play yes as sound:custom/en" in check.why_not_ready
    assert "AST_SOUND_DIR=/sounds" in check.why_not_ready
    assert "hello" not in check.why_not_ready
    asterisk.missing.clear()
    await asyncio.sleep(3)
    assert check.why_not_ready == ""


async def test_a_prompt_lost_later_is_found_on_demand(
    check: PromptCheck, asterisk: Asterisk
) -> None:
    """After a failed playback the prompts are looked at again, and dialing stops."""
    check.check_again()
    await asyncio.sleep(2)
    asterisk.missing.add("hello")
    check.check_again()
    await asyncio.sleep(2)
    assert "hello" in check.why_not_ready


async def test_an_asterisk_that_cannot_be_asked_is_not_ready(
    check: PromptCheck, asterisk: Asterisk
) -> None:
    """When Asterisk refuses to play at all, nothing is dialled and the reason is its own."""
    asterisk.announcers_missing = True
    check.check_again()
    await asyncio.sleep(2)
    assert "Could not create channel" in check.why_not_ready
    assert asterisk.is_empty
