from __future__ import annotations

import grpc
import pytest
from grpc import aio
from sqlalchemy import update

from dialer.attempts import Ending
from dialer.claim import Claimer
from dialer.reports import queue_report
from dialer.tables import ContactState, attempts, contacts, do_not_call, other_calls, reports
from dialer_support.campaign import (
    add,
    claimed,
    end,
    file_contact,
    number,
    panel_contact,
    place,
    rows_of,
)
from dialer_support.served import RULES, Stub
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.storage import Storage
from support.timing import HandClock


async def erase(
    stub: Stub, text: str, *, forget_do_not_call: bool = False
) -> dialer_pb2.ErasePersonResponse:
    """Erase a person."""
    request = dialer_pb2.ErasePersonRequest(number=text, forget_do_not_call=forget_do_not_call)
    return await stub.ErasePerson(request, timeout=5)


async def test_a_person_is_forgotten_and_the_limits_still_count(
    stub: Stub, storage: Storage, clock: HandClock
) -> None:
    """Number and consent go from contacts and attempts of that person, and from nobody else's."""
    both = [file_contact(1), panel_contact(1, batch="b2"), file_contact(2)]
    await add(storage, both[:1], clock)
    claimer = Claimer(storage, RULES, clock)
    claim = await claimed(claimer)
    await place(storage, claim, clock)
    await end(storage, claim, clock, Ending(calls_pb2.RESULT_HANGUP))
    await add(storage, both[1:], clock)
    erased = await erase(stub, "۰۹۱۲۰۰۰۰۰۰۱")
    assert (erased.contacts, erased.attempts, erased.on_do_not_call) == (2, 1, False)
    first, second, other = await rows_of(storage, contacts)
    for row in (first, second):
        assert (row["number"], row["consent_basis"]) == ("", "")
        assert row["dedupe_key"] == f"erased:{row['id']}"
    assert (first["state"], first["drop_reason"]) == (ContactState.DONE, "")
    assert (second["state"], second["drop_reason"]) == (ContactState.DROPPED, "erased")
    assert (other["number"], other["state"]) == (number(2), ContactState.WAITING)
    [attempt] = await rows_of(storage, attempts)
    assert (attempt["number"], attempt["line"]) == ("", "1001")
    status = await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
    assert status.lines[0].today == 1
    [listed] = (await stub.ListAttempts(dialer_pb2.ListAttemptsRequest(), timeout=5)).attempts
    assert (listed.contact.number, listed.contact.national_number) == ("", "")
    assert await erase(stub, "09120000001") == dialer_pb2.ErasePersonResponse()
    assert (await claimed(claimer)).contact.number == number(2)


async def test_the_do_not_call_entry_stays_unless_asked_otherwise(
    stub: Stub, storage: Storage
) -> None:
    """Who is forgotten is still not called, until that is to be forgotten too."""
    listed = dialer_pb2.AddDoNotCallRequest(numbers=["09120000001", "09120000002"])
    await stub.AddDoNotCall(listed, timeout=5)
    assert (await erase(stub, "09120000001")).on_do_not_call
    assert not (await erase(stub, "09120000001", forget_do_not_call=True)).on_do_not_call
    assert [row["number"] for row in await rows_of(storage, do_not_call)] == [number(2)]


async def test_nobody_is_forgotten_during_a_call(
    stub: Stub, storage: Storage, clock: HandClock
) -> None:
    """With an attempt or an inbound call under way nothing is erased, and it can be repeated."""
    await add(storage, [file_contact(1), file_contact(2)], clock)
    await claimed(Claimer(storage, RULES, clock))
    inbound = {"id": "i", "line": "1001", "number": number(2), "started_at_ms": 0, "stage": 0}
    async with storage.transaction() as connection:
        await connection.execute(other_calls.insert().values(inbound))
    for text in ("09120000001", "09120000002"):
        with pytest.raises(aio.AioRpcError) as error:
            await erase(stub, text, forget_do_not_call=True)
        assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert text not in (error.value.details() or "")
    assert {row["number"] for row in await rows_of(storage, contacts)} == {number(1), number(2)}
    async with storage.transaction() as connection:
        await connection.execute(other_calls.delete())
    assert (await erase(stub, "09120000002")).contacts == 1


async def test_reports_on_their_way_keep_the_number(stub: Stub, storage: Storage) -> None:
    """What must still reach the reporter is whole; what it refused for good loses the number."""
    for attempt_id in ("waiting", "refused", "another's"):
        text = "+989120000002" if attempt_id == "another's" else "09120000001"
        contact = calls_pb2.Contact(number=text, national_number=text, source="panel")
        request = ReportResultRequest(attempt_id=attempt_id, contact=contact)
        async with storage.transaction() as connection:
            await queue_report(connection, request, 0)
            if attempt_id != "waiting":
                statement = update(reports).where(reports.c.attempt_id == attempt_id)
                await connection.execute(statement.values(refusal="malformed"))
    await erase(stub, "09120000001")
    kept = {
        row["attempt_id"]: ReportResultRequest.FromString(row["body"]).contact
        for row in await rows_of(storage, reports)
    }
    assert kept["waiting"].number == "09120000001"
    assert kept["refused"] == calls_pb2.Contact(source="panel")
    assert kept["another's"].number == "+989120000002"
