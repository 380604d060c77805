"""Who wanted an operator and got none waits for a call, until it is made or not wanted any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select
from structlog.testing import capture_logs

from reporter.callbacks import Waiting
from reporter.errors import BadNumber
from reporter.ledger import Reported
from reporter.retention import RetentionRule
from reporter.tables import callbacks
from reporter_support.house import FORMS, House
from reporter_support.reports import report_of
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2

PERSON, OTHER = "+989120000101", "+989120000102"
NOON = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
CALL = timedelta(minutes=3)


def _call(
    attempt_id: str,
    minute: int,
    number: str = PERSON,
    *,
    result: calls_pb2.Result.ValueType = calls_pb2.RESULT_FAILED,
    wanted: bool = True,
) -> reporter_pb2.ReportResultRequest:
    """Make the report of a call of three minutes that began so many minutes after noon."""
    report = report_of(
        result,
        attempt_id=attempt_id,
        number=number,
        source="file",
        reason="operator_unavailable" if wanted else "",
        callback_wanted=wanted,
    )
    report.attempted_at.FromDatetime(NOON + timedelta(minutes=minute))
    report.ended_at.FromDatetime(NOON + timedelta(minutes=minute) + CALL)
    return report


def _connected(
    attempt_id: str, minute: int, number: str = PERSON
) -> reporter_pb2.ReportResultRequest:
    result = calls_pb2.RESULT_CONNECTED_TO_OPERATOR
    return _call(attempt_id, minute, number, result=result, wanted=False)


async def _record(house: House, *reports: reporter_pb2.ReportResultRequest) -> None:
    for report in reports:
        await house.ledger.record(report)


async def _waiting(house: House) -> list[str]:
    found, _, _ = await house.callbacks.page(100)
    return [callback.attempt_id for callback in found]


async def test_entry_says_whom_to_call(house: House) -> None:
    """An entry has the number as people dial it, the line, who called whom, and since when."""
    inbound = _call("b", 10, "00989120000102")
    inbound.direction = calls_pb2.DIRECTION_INBOUND
    inbound.line = "1002"
    await _record(house, inbound, _call("a", 0), _call("c", 20, wanted=False))
    (first, second), token, waiting = await house.callbacks.page(100)
    assert (first.attempt_id, first.number, first.line) == ("a", "09120000101", "1001")
    assert first.direction == calls_pb2.DIRECTION_OUTBOUND
    assert first.since == NOON + CALL
    assert (second.number, second.line) == ("09120000102", "1002")
    assert second.direction == calls_pb2.DIRECTION_INBOUND
    assert (token, waiting) == ("", 2)


async def test_repeat_makes_no_second_entry(house: House) -> None:
    """A repeated report makes no second entry, and brings none back that is done."""
    await _record(house, *[_call("a", 0)] * 2)
    assert await house.callbacks.close(["a"]) == 1
    assert await house.callbacks.close(["a"]) == 0
    await _record(house, _call("a", 0))
    assert await _waiting(house) == []


async def test_person_waits_once(house: House) -> None:
    """Who asked three times is one entry, the oldest, however the number was shown."""
    await _record(
        house,
        _call("second", 30, "09120000101"),
        _call("first", 0),
        _call("third", 60, "00989120000101"),
        _call("other", 20, OTHER),
    )
    assert await _waiting(house) == ["first", "other"]
    house.clock.jump(NOON + CALL + timedelta(hours=1))
    assert await house.callbacks.waiting() == Waiting(people=2, oldest_age_s=3600)
    assert await house.callbacks.close(["third"]) == 1
    assert await _waiting(house) == ["other"]


async def test_pages_of_callbacks(house: House) -> None:
    """Pages go longest waiting first and meet without gap or overlap, also within one moment."""
    reports = [_call(f"a-{n}", 60 - n // 3, f"+98912000{n:04}") for n in range(8)]
    await _record(house, *reports)
    seen: list[str] = []
    token = ""
    while True:
        found, token, waiting = await house.callbacks.page(3, token)
        assert waiting == 8
        seen += [callback.attempt_id for callback in found]
        if not token:
            break
    assert seen == ["a-6", "a-7", "a-3", "a-4", "a-5", "a-0", "a-1", "a-2"]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_operator_reached_later(house: House, order: Sequence[int], *, at_once: bool) -> None:
    """A call that reached an operator closes what was asked before it, in any order of arrival."""
    calls = [_call("before", 0), _connected("reached", 10, "09120000101"), _call("after", 20)]
    reports = [calls[index] for index in order]
    other = _call("other", 5, OTHER)
    if at_once:
        await house.ledger.record_all([Reported(report, "") for report in (other, *reports)])
    else:
        await _record(house, other, *reports)
    assert await _waiting(house) == ["other", "after"]


async def test_replacing_result_closes(house: House) -> None:
    """An attempt that asked for a callback, and did reach an operator after all, waits no more."""
    await _record(house, _call("a", 0), _connected("a", 0))
    assert await _waiting(house) == []
    connected = _connected("b", 30)
    connected.outcome.callback_wanted = True  # contradicts itself: the operator counts
    await _record(house, connected, _call("same moment", 30))
    assert await _waiting(house) == []


@pytest.mark.parametrize("number", ["", "anonymous"])
async def test_withheld_number(house: House, number: str) -> None:
    """Who shows no number cannot be called back: the log says so, and the result is kept."""
    with capture_logs() as logged:
        await _record(house, _call("a", 0, number), _connected("b", 1, number))
    assert await _waiting(house) == []
    (line,) = logged
    assert "withheld" in line["event"]
    assert line["attempt_id"] == "a"
    assert (await house.find("a")).result == "failed:operator_unavailable"


async def test_call_without_an_end(house: House) -> None:
    """A report that does not say when the call ended waits since it began, or since it came."""
    began, unknown = _call("began", 0), _call("unknown", 0, OTHER)
    for report in (began, unknown):
        report.ClearField("ended_at")
    unknown.ClearField("attempted_at")
    house.clock.jump(NOON + timedelta(hours=1))
    await _record(house, began, unknown)
    found, _, _ = await house.callbacks.page(100)
    assert [callback.since - NOON for callback in found] == [timedelta(), timedelta(hours=1)]


async def test_erased_person_waits_no_more(house: House) -> None:
    """Erasing a person closes the callback at once, also where the panel must hear of it first."""
    for_panel = _call("panel", 0)
    for_panel.contact.source = "panel"
    await _record(house, for_panel, _call("own", 10, "09120000101"), _call("other", 20, OTHER))
    erased = await house.eraser.erase("0912 000 0101")
    assert (erased.now, erased.waiting) == (1, 1)
    assert await _waiting(house) == ["other"]
    await _record(house, _connected("panel", 0))
    async with house.storage.transaction() as connection:
        people = (await connection.scalars(select(callbacks.c.person))).all()
    assert people == [OTHER]


async def test_nobody_waits_longer_than_results_are_kept(house: House) -> None:
    """An open callback goes with its result, and even before one the panel must hear of."""
    for_panel = _call("panel", 0)
    for_panel.contact.source = "panel"
    many = [_call(f"a-{n}", 0, f"+98912000{n:04}") for n in range(3)]
    await _record(house, for_panel, *many)
    house.clock.advance(timedelta(days=366).total_seconds())
    await _record(house, _call("new", 0, OTHER))
    await house.retention(RetentionRule(0, 30)).sweep()
    assert len(await _waiting(house)) == 5
    await house.retention(RetentionRule(365, 0), chunk=2).sweep()
    assert await _waiting(house) == ["new"]
    assert (await house.find("panel")).report == for_panel


async def test_many_named_at_once(house: House) -> None:
    """More attempts than one statement holds are closed, each once."""
    await _record(house, _call("a", 0), _call("b", 1, OTHER))
    names = ["a", *(f"stranger-{n}" for n in range(33_000)), "b", "a"]
    assert await house.callbacks.close(names) == 2
    async with house.storage.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(callbacks)) == 0


async def test_statements_do_not_grow_with_the_group(house: House) -> None:
    """What follows from results taken together costs as many statements for many as for few."""
    counts = []
    for size in (2, 60):
        people = [f"+98912{size:03}{n:04}" for n in range(size)]
        asked = [_call(f"asked-{number}", 0, number) for number in people]
        reached = [_connected(f"reached-{number}", 9, number) for number in people[::2]]
        statements: list[str] = []

        def note(*details: object, seen: list[str] = statements) -> None:
            if "INSERT INTO reporter_results " not in str(details[2]):  # SQLite numbers one by one
                seen.append(str(details[2]))

        engine = house.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        await house.ledger.record_all([Reported(report, "") for report in asked + reached])
        event.remove(engine, "before_cursor_execute", note)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert len(await _waiting(house)) == 31


@pytest.mark.parametrize(
    ("text", "person", "dialled"),
    [
        ("+989120000101", "+989120000101", "09120000101"),
        ("۹۱۲ ۰۰۰ ۰۱۰۱", "+989120000101", "09120000101"),
        ("+442079460018", "+442079460018", "+442079460018"),
        ("+110", "110", "110"),
    ],
)
def test_one_form_of_a_number(text: str, person: str, dialled: str) -> None:
    """Every number has one form that names its owner, and one as people here dial it."""
    assert (FORMS.person(text), FORMS.dialled(text)) == (person, dialled)
    assert FORMS.dialled(person) == dialled
    with pytest.raises(BadNumber):
        FORMS.dialled("anonymous")
