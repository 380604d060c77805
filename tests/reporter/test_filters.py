"""Results are found by what is known about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from reporter.errors import BadFilter, BadNumber
from reporter.filters import conditions
from reporter.tables import DeliveryStatus
from reporter_support.house import FORMS, House
from reporter_support.reports import report_of
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


async def _found(house: House, **wanted: object) -> set[str]:
    where = conditions(reporter_pb2.ResultFilter(**wanted), FORMS)  # type: ignore[arg-type]
    listed, _ = await house.archive.page(size=100, where=where)
    streamed = [kept async for page in house.archive.stream(where) for kept in page]
    assert sorted(kept.sequence for kept in listed) == [kept.sequence for kept in streamed]
    return {kept.report.attempt_id for kept in listed}


async def _store(house: House) -> None:
    failed, inbound = calls_pb2.RESULT_FAILED, calls_pb2.DIRECTION_INBOUND
    reports = [
        report_of(attempt_id="missed", number="+989120000101"),
        report_of(failed, reason="congestion", attempt_id="congested", source="file"),
        report_of(failed, attempt_id="unknown", source="static", number="+989120000102"),
        report_of(attempt_id="inbound", source="inbound", direction=inbound, number="09120000103"),
    ]
    reports[1].line = "1002"
    for hours, report in enumerate(reports):
        report.attempted_at.FromDatetime(NOON + timedelta(hours=hours))
        await house.ledger.record(report)


async def test_each_condition(house: House) -> None:
    """Every condition finds exactly what it names, in lists and exports alike."""
    await _store(house)
    found = {"missed", "congested", "unknown", "inbound"}
    assert await _found(house) == found
    assert await _found(house, result="missed") == {"missed", "inbound"}
    assert await _found(house, result="failed") == {"congested", "unknown"}
    assert await _found(house, result="failed:congestion") == {"congested"}
    assert await _found(house, line="1002") == {"congested"}
    assert await _found(house, source="static") == {"unknown"}
    assert await _found(house, direction=calls_pb2.DIRECTION_INBOUND) == {"inbound"}
    assert await _found(house, since=_stamp(NOON + timedelta(hours=2))) == {"unknown", "inbound"}
    assert await _found(house, until=_stamp(NOON + timedelta(hours=2))) == {"missed", "congested"}
    assert await _found(house, result="failed", source="file") == {"congested"}
    assert await _found(house, result="failed", source="panel") == set()


async def test_delivery_state(house: House) -> None:
    """Results are found by where their delivery stands; those without one by none of them."""
    await _store(house)
    assert await _found(house, delivery=reporter_pb2.DELIVERY_STATE_PENDING) == {"missed"}
    await house.settle(DeliveryStatus.DEAD, "HTTP 404")
    assert await _found(house, delivery=reporter_pb2.DELIVERY_STATE_DEAD) == {"missed"}
    assert await house.dead_letters.discard([]) == 1
    assert await _found(house, delivery=reporter_pb2.DELIVERY_STATE_DISCARDED) == {"missed"}
    assert await _found(house, delivery=reporter_pb2.DELIVERY_STATE_PENDING) == set()


@pytest.mark.parametrize(
    "number",
    [
        "09120000103",
        "9120000103",
        "+98 912 000 0103",
        "00989120000103",
        "۰۹۱۲۰۰۰۰۱۰۳",
        "٠٩١٢٠٠٠٠١٠٣",
    ],
)
async def test_number_in_any_form(house: House, number: str) -> None:
    """A number is found however it is written, here and where the trunk showed it."""
    await _store(house)
    assert await _found(house, number=number) == {"inbound"}
    other = number.replace("3", "1").replace("۳", "۱").replace("٣", "١")
    assert await _found(house, number=other) == {"missed", "congested"}


async def test_pages_of_a_filter(house: House) -> None:
    """Pages of a filtered list meet without gap or overlap."""
    reports = [report_of(source="file" if index % 2 else "static") for index in range(9)]
    for report in reports:
        await house.ledger.record(report)
    where = conditions(reporter_pb2.ResultFilter(source="static"), FORMS)
    seen: list[str] = []
    token = ""
    while True:
        kept, token = await house.archive.page(size=2, token=token, where=where)
        seen += [result.report.attempt_id for result in kept]
        if not token:
            break
    assert seen == [report.attempt_id for report in reversed(reports[::2])]


@pytest.mark.parametrize(
    "wanted",
    [
        reporter_pb2.ResultFilter(result="mised"),
        reporter_pb2.ResultFilter(result="missed:busy"),
        reporter_pb2.ResultFilter(direction=9),  # type: ignore[arg-type]
        reporter_pb2.ResultFilter(delivery=9),  # type: ignore[arg-type]
        reporter_pb2.ResultFilter(number="nobody"),
        reporter_pb2.ResultFilter(since=Timestamp(nanos=-1)),
        reporter_pb2.ResultFilter(since=Timestamp(seconds=10**15)),
        reporter_pb2.ResultFilter(since=Timestamp(seconds=9), until=Timestamp(seconds=8)),
    ],
)
def test_senseless_filters(wanted: reporter_pb2.ResultFilter) -> None:
    """A condition that can mean nothing is refused, without repeating a number."""
    with pytest.raises(BadFilter) as refusal:
        conditions(wanted, FORMS)
    assert "filter." in str(refusal.value)
    assert "nobody" not in str(refusal.value)


@given(st.text(max_size=60))
def test_any_text_as_a_number(text: str) -> None:
    """Whatever is given as a number either has forms of digits, or is refused."""
    try:
        forms = FORMS.of(text)
    except BadNumber:
        return
    assert all(form.removeprefix("+").isascii() for form in forms)
    assert all(form.removeprefix("+").isdigit() for form in forms)


def test_foreign_number_has_no_national_form() -> None:
    """The national form of another country's number would be somebody else's here."""
    assert FORMS.of("+442079460018") == ("+442079460018", "442079460018", "00442079460018")


async def test_attempt_without_a_time(house: House) -> None:
    """An attempt that does not say when it began is found by its end, or else by its arrival."""
    ended, unknown = report_of(attempt_id="ended"), report_of(attempt_id="unknown")
    for report in (ended, unknown):
        report.ClearField("attempted_at")
    ended.ended_at.FromDatetime(NOON - timedelta(days=3))
    unknown.ClearField("ended_at")
    for report in (ended, unknown):
        await house.ledger.record(report)
    arrived = house.clock.now()
    assert await _found(house, since=_stamp(arrived), number="09120000101") == {"unknown"}
    assert await _found(house, until=_stamp(NOON - timedelta(days=2))) == {"ended"}
