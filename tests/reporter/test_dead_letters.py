"""Deliveries that were given up can be looked through, tried again and dropped."""

from __future__ import annotations

import pytest

from reporter.errors import BadPageToken
from reporter.outbox import Settlement
from reporter.tables import DeliveryStatus
from reporter_support.house import House
from reporter_support.reports import report_of


async def _bury(house: House, count: int) -> list[str]:
    """Give up so many deliveries; give their attempts, oldest first, three at each moment."""
    attempts = []
    for index in range(count):
        report = report_of(number_id=index + 1)
        await house.ledger.record(report)
        await house.settle(DeliveryStatus.DEAD, "HTTP 404 mismatch")
        attempts.append(report.attempt_id)
        if index % 3 == 2:
            house.clock.advance(1)
    return attempts


async def test_pages_of_dead_letters(house: House) -> None:
    """Pages go newest first and meet without gap or overlap, also within one moment."""
    attempts = await _bury(house, 8)
    seen: list[str] = []
    token = ""
    while True:
        letters, token = await house.dead_letters.page(3, token)
        seen += [letter.attempt_id for letter in letters]
        if not token:
            break
    assert seen == attempts[::-1]
    assert len(await house.outbox.lease(9, due_only=True)) == 0


@pytest.mark.parametrize("token", ["x", "1", "1-", "-1", "1-x", "1-2-3"])
async def test_foreign_page_token(house: House, token: str) -> None:
    """A page token that was never given out is refused."""
    with pytest.raises(BadPageToken):
        await house.dead_letters.page(3, token)


async def test_discarded_stays_discarded(house: House) -> None:
    """What is discarded is neither listed nor sent nor retried; its result stays."""
    first, second = await _bury(house, 2)
    assert await house.dead_letters.discard([first, "stranger"]) == 1
    assert await house.dead_letters.discard([first]) == 0
    assert await house.dead_letters.retry([first]) == 0
    letters, _ = await house.dead_letters.page(9)
    assert [letter.attempt_id for letter in letters] == [second]
    assert (await house.find(first)).delivery is DeliveryStatus.DISCARDED
    assert await house.outbox.lease(9, due_only=False) == []


async def test_many_named_at_once(house: House) -> None:
    """More attempts than one statement holds are handled, each once."""
    (dead,) = await _bury(house, 1)
    names = [f"stranger-{index}" for index in range(1200)]
    assert await house.dead_letters.retry([*names, dead]) == 1
    assert (await house.lease_one()).report.attempt_id == dead


async def test_retried_goes_in_order(house: House) -> None:
    """A retried result goes before later ones of its contact that still wait."""
    for attempt_id in ("a", "b"):
        await house.ledger.record(report_of(attempt_id=attempt_id))
    await house.settle(DeliveryStatus.DEAD, "HTTP 404")
    assert await house.dead_letters.retry(["a"]) == 1
    sent = []
    while batch := await house.outbox.lease(9, due_only=True):
        (delivery,) = batch
        sent.append(delivery.report.attempt_id)
        await house.outbox.settle([Settlement(delivery, DeliveryStatus.DELIVERED)])
    assert sent == ["a", "b"]
