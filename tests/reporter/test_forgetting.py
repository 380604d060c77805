"""People are forgotten when they ask for it, and everything with time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from reporter.erasing import Erased
from reporter.errors import BadNumber
from reporter.retention import RetentionRule
from reporter.tables import DeliveryStatus, deliveries, erasures, results
from reporter_support.house import House
from reporter_support.reports import report_of
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2

PERSON, OTHER = "+989120000101", "+989120000102"
WORDS = "نه ممنون"
NO = calls_pb2.RESULT_NOT_INTERESTED


def _of(number: str, attempt_id: str, source: str = "file") -> reporter_pb2.ReportResultRequest:
    return report_of(NO, attempt_id=attempt_id, number=number, source=source, heard=(WORDS,))


async def _everything(house: House) -> bytes:
    """Give all that is stored about results and deliveries."""
    async with house.storage.transaction() as connection:
        rows = [
            row
            for table in (results, deliveries)
            for row in await connection.execute(select(table))
        ]
    return b"".join(
        value if isinstance(value, bytes) else f"|{value}".encode() for row in rows for value in row
    )


def _is_gone(stored: bytes) -> bool:
    return b"9120000101" not in stored and WORDS.encode() not in stored


@pytest.mark.parametrize("asked", ["09120000101", "۹۱۲۰۰۰۰۱۰۱", "+989120000101"])
async def test_person_is_erased(house: House, asked: str) -> None:
    """Number and words are gone from all that is stored; what it came to stays."""
    await house.ledger.record(_of(PERSON, "a"))
    await house.ledger.record(_of("09120000101", "b"))
    assert await house.eraser.erase(asked) == Erased(now=2, waiting=0)
    assert _is_gone(await _everything(house))
    kept = await house.find("a")
    assert (kept.result, kept.report.line) == ("not_interested", "1001")
    assert kept.report.outcome.turns[0].intent == _of(PERSON, "a").outcome.turns[0].intent
    assert await house.eraser.erase(asked) == Erased(now=0, waiting=0)


async def test_others_are_left_alone(house: House) -> None:
    """Erasing one person touches nobody else."""
    await house.ledger.record(_of(OTHER, "other"))
    before = (await house.find("other")).report
    await house.eraser.erase(PERSON)
    assert (await house.find("other")).report == before


@pytest.mark.parametrize("end", [DeliveryStatus.DELIVERED, DeliveryStatus.DISCARDED])
async def test_waiting_result_is_erased_when_settled(house: House, end: DeliveryStatus) -> None:
    """What the panel must hear of keeps the number, and loses it in the moment it is settled."""
    await house.ledger.record(_of(PERSON, "a", source="panel"))
    for _ in range(2):
        assert await house.eraser.erase(PERSON) == Erased(now=0, waiting=1)
    delivery = await house.lease_one()
    assert delivery.report.contact.number == PERSON
    house.clock.advance(100)
    if end is DeliveryStatus.DISCARDED:
        await house.settle(DeliveryStatus.DEAD, "HTTP 404 0912***0101")
        assert await house.eraser.erase(PERSON) == Erased(now=0, waiting=1)
        await house.dead_letters.discard(["a"])
    else:
        await house.settle(DeliveryStatus.DELIVERED)
    assert _is_gone(await _everything(house))
    assert b"0912***0101" not in await _everything(house)
    assert (await house.find("a")).delivery is end
    async with house.storage.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(erasures)) == 0


async def test_late_report_does_not_bring_a_person_back(house: House) -> None:
    """A late "connected" of an erased attempt replaces the result, without the person."""
    await house.ledger.record(_of(PERSON, "a"))
    await house.eraser.erase(PERSON)
    late = _of(PERSON, "a")
    late.outcome.result = calls_pb2.RESULT_CONNECTED_TO_OPERATOR
    assert (await house.ledger.record(late)).replaced
    assert (await house.find("a")).result == "connected_to_operator"
    assert _is_gone(await _everything(house))


async def test_erasing_nobody(house: House) -> None:
    """What is no number is refused, and a number nobody has changes nothing."""
    with pytest.raises(BadNumber):
        await house.eraser.erase("everybody")
    assert await house.eraser.erase(OTHER) == Erased(now=0, waiting=0)


async def _attempts(house: House) -> set[str]:
    return {kept.report.attempt_id async for page in house.archive.stream() for kept in page}


async def test_words_go_first(house: House) -> None:
    """Words older than their limit are gone from every result, the results and numbers stay."""
    for index in range(7):
        await house.ledger.record(_of(PERSON, f"old-{index}", "panel" if index == 0 else "file"))
    house.clock.advance(timedelta(days=31).total_seconds())
    await house.ledger.record(_of(PERSON, "new"))
    await house.retention(RetentionRule(0, 30), chunk=3).sweep()
    heard = {}
    async for page in house.archive.stream():
        for kept in page:
            heard[kept.report.attempt_id] = [turn.heard for turn in kept.report.outcome.turns]
            assert kept.report.contact.number == PERSON
    assert heard.pop("new") == [WORDS]
    assert list(heard.values()) == [[""]] * 7


async def test_old_results_go_when_settled(house: House) -> None:
    """Old results are deleted with their deliveries, but never one the panel must hear of."""
    ends = {
        "delivered": DeliveryStatus.DELIVERED,
        "discarded": DeliveryStatus.DEAD,
        "dead": DeliveryStatus.DEAD,
    }
    for attempt_id, end in ends.items():
        await house.ledger.record(_of(PERSON, attempt_id, "panel"))
        await house.settle(end, "HTTP 404")
    await house.dead_letters.discard(["discarded"])
    await house.ledger.record(_of(PERSON, "pending", "panel"))
    for index in range(5):
        await house.ledger.record(_of(PERSON, f"file-{index}"))
    house.clock.advance(timedelta(days=366).total_seconds())
    await house.ledger.record(_of(PERSON, "new"))
    await house.retention(RetentionRule(365, 0), chunk=2).sweep()
    assert await _attempts(house) == {"dead", "pending", "new"}
    async with house.storage.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(deliveries)) == 2


async def test_zero_keeps_for_ever(house: House) -> None:
    """With both limits 0 nothing is ever forgotten."""
    report = _of(PERSON, "a")
    await house.ledger.record(report)
    house.clock.advance(timedelta(days=3650).total_seconds())
    await house.retention(RetentionRule(0, 0)).sweep()
    assert (await house.find("a")).report == report
