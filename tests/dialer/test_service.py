from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc import aio

from dialer import forms
from dialer.attempts import Ending
from dialer.claim import Claimer, Refusal
from dialer.limits import Line, LineLimits
from dialer.pauses import Pause, PauseKind, hold
from dialer.status import StatusReader
from dialer.waking import Bells
from dialer_support.campaign import (
    add,
    claimed,
    end,
    file_contact,
    number,
    panel_contact,
    place,
    refused,
    rules,
    static_contact,
)
from dialer_support.served import RULES, Doors, Stub
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2
from servicekit.storage import Storage
from support.timing import HandClock


@pytest.fixture
def bells(doors: Doors) -> Bells:
    """Give the bells the service rings."""
    return doors.bells


async def test_status_tells_lines_contacts_and_why_nothing_is_dialled(
    stub: Stub, storage: Storage, clock: HandClock
) -> None:
    """The status counts each line against its limits, and contacts and attempts by state."""
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, RULES, clock)
    first, second = await claimed(claimer), None
    await place(storage, first, clock)
    await end(storage, first, clock, Ending(calls_pb2.RESULT_HANGUP))
    second = await claimed(claimer)
    await place(storage, second, clock)
    status = await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
    assert status.lines == [
        dialer_pb2.LineStatus(
            line="1001",
            active=1,
            max_concurrent=2,
            last_minute=2,
            max_per_minute=10,
            today=2,
            max_per_day=200,
        )
    ]
    assert (status.contacts_waiting, status.attempts_open, status.attempts_done) == (1, 1, 1)
    assert (status.paused, status.waiting_for) == (False, "no contact is due")


async def test_pauses_are_kept_replaced_and_lifted_by_kind(
    stub: Stub, storage: Storage, clock: HandClock, bells: Bells
) -> None:
    """Each kind is one hold whose reason can change; a lift wakes the campaign."""
    await add(storage, [static_contact(1)], clock)
    claimer = Claimer(storage, RULES, clock)
    for kind, reason in (
        (dialer_pb2.PAUSE_KIND_UNSPECIFIED, "lunch"),
        (dialer_pb2.PAUSE_KIND_BREAKER, "trunk down"),
        (dialer_pb2.PAUSE_KIND_MANUAL, "long lunch"),
    ):
        await stub.Pause(dialer_pb2.PauseRequest(reason=reason, by="Sara", kind=kind), timeout=5)
    assert (await refused(claimer)).why is Refusal.PAUSED
    status = await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
    assert status.paused
    assert {(pause.kind, pause.reason, pause.by) for pause in status.pauses} == {
        (dialer_pb2.PAUSE_KIND_MANUAL, "long lunch", "Sara"),
        (dialer_pb2.PAUSE_KIND_BREAKER, "trunk down", "Sara"),
    }
    lifted = await stub.Resume(
        dialer_pb2.ResumeRequest(kind=dialer_pb2.PAUSE_KIND_BREAKER), timeout=5
    )
    assert [pause.reason for pause in lifted.remaining] == ["long lunch"]
    assert (await stub.Resume(dialer_pb2.ResumeRequest(), timeout=5)).remaining == []
    async with asyncio.timeout(5):
        await bells.dial.wait(60)  # rung: returns at once
    await claimed(claimer)


async def test_a_person_cannot_lift_the_panels_hold(
    stub: Stub, storage: Storage, clock: HandClock
) -> None:
    """The panel's no is shown with the pauses, and only the panel's yes ends it."""
    await add(storage, [panel_contact(1)], clock)
    async with storage.transaction() as connection:
        await hold(connection, Pause(PauseKind.PANEL, "holiday", "panel", 0))
    lifted = await stub.Resume(dialer_pb2.ResumeRequest(), timeout=5)
    status = await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
    assert (status.paused, status.waiting_for) == (True, "")
    shown = [(pause.kind, pause.reason, pause.by) for pause in status.pauses]
    assert shown == [(dialer_pb2.PAUSE_KIND_PANEL, "holiday", "panel")]
    assert list(lifted.remaining) == list(status.pauses)
    assert (await refused(Claimer(storage, RULES, clock))).why is Refusal.PANEL


async def test_the_breaker_alone_grants_trial_calls(
    stub: Stub, storage: Storage, clock: HandClock, bells: Bells
) -> None:
    """Trial calls are dialled in spite of the breaker's pause, which stays; the campaign wakes."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    claimer = Claimer(storage, RULES, clock)
    pause = dialer_pb2.PauseRequest(reason="trunk down", kind=dialer_pb2.PAUSE_KIND_BREAKER)
    await stub.Pause(pause, timeout=5)
    trial = dialer_pb2.ResumeRequest(kind=dialer_pb2.PAUSE_KIND_BREAKER, trial_calls=1)
    [left] = (await stub.Resume(trial, timeout=5)).remaining
    assert (left.kind, left.reason, left.trial_calls) == (pause.kind, "trunk down", 1)
    async with asyncio.timeout(5):
        await bells.dial.wait(60)  # rung: returns at once
    await claimed(claimer)
    assert (await refused(claimer)).why is Refusal.BREAKER
    await stub.Resume(dialer_pb2.ResumeRequest(kind=dialer_pb2.PAUSE_KIND_BREAKER), timeout=5)
    assert (await stub.Resume(trial, timeout=5)).remaining == []
    await claimed(claimer)


async def test_operators_are_shown_where_they_count(
    storage: Storage, clock: HandClock, stub: Stub
) -> None:
    """With OPERATOR_SLOTS the status tells how they are loaded; without, nothing of them."""
    status = await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
    assert not status.HasField("operators")
    counted = rules(Line("1001", LineLimits(2, 10, 200)), operator_slots=3)
    await add(storage, [static_contact(1)], clock)
    await claimed(Claimer(storage, counted, clock))
    shown = forms.status_of(await StatusReader(storage, counted, clock).read(), "").operators
    assert (shown.slots, shown.busy, shown.undecided, shown.share_of_yes) == (3, 0, 1, 1.0)


async def test_a_file_is_imported_over_the_wire(
    stub: Stub, storage: Storage, clock: HandClock
) -> None:
    """Rows arrive in chunks; the answer counts and names what was not taken."""
    chunks = [b"number,consent\n0912000", b"0001,form\nbad,form\n"]

    async def send(parts: list[bytes]) -> dialer_pb2.ImportContactsResponse:
        requests = (dialer_pb2.ImportContactsRequest(csv=part) for part in parts)
        return await stub.ImportContacts(requests, timeout=10)

    answer = await send(chunks)
    assert (answer.accepted, answer.rejected_count) == (1, 1)
    assert list(answer.rejected) == [dialer_pb2.RejectedRow(row=3, reason="no phone number")]
    assert (await claimed(Claimer(storage, RULES, clock))).contact.number == number(1)
    with pytest.raises(aio.AioRpcError) as error:
        await send([b"\xff\xfe"])
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_attempts_are_listed_page_by_page_newest_first(
    stub: Stub, storage: Storage, clock: HandClock
) -> None:
    """Pages follow each other without gap or repeat; open ones can be asked for alone."""
    await add(storage, [file_contact(index) for index in range(5)], clock)
    claimer = Claimer(storage, RULES, clock)
    ids: list[str] = []
    for index in range(5):
        claim = await claimed(claimer)
        await place(storage, claim, clock)
        if index < 4:
            await end(storage, claim, clock, Ending(calls_pb2.RESULT_FAILED, "congestion"))
        ids.insert(0, claim.attempt_id)
        clock.advance(index % 2)  # some in the same millisecond
    listed: list[dialer_pb2.Attempt] = []
    token = ""
    while True:
        page = await stub.ListAttempts(
            dialer_pb2.ListAttemptsRequest(page_size=2, page_token=token), timeout=5
        )
        listed.extend(page.attempts)
        if not (token := page.next_page_token):
            break
    assert sorted(attempt.attempt_id for attempt in listed) == sorted(ids)
    times = [attempt.claimed_at.ToMilliseconds() for attempt in listed]
    assert times == sorted(times, reverse=True)
    request = dialer_pb2.ListAttemptsRequest(open_only=True)
    [under_way] = (await stub.ListAttempts(request, timeout=5)).attempts
    assert under_way.attempt_id == ids[0]
    assert not under_way.HasField("ended_at")
    done = next(attempt for attempt in listed if attempt.attempt_id == ids[-1])
    assert (done.result, done.reason) == (calls_pb2.RESULT_FAILED, "congestion")
    assert done.contact.number == number(0)


async def test_the_do_not_call_list_is_kept_by_rpc(stub: Stub) -> None:
    """Numbers of any form go on the list once, come off, and are streamed."""
    many = [f"0912{index:07}" for index in range(1200)]
    reason = "asked by mail"
    add_all = dialer_pb2.AddDoNotCallRequest(numbers=[*many, "+989120000001"], reason=reason)
    assert (await stub.AddDoNotCall(add_all, timeout=30)).added == 1200
    assert (await stub.AddDoNotCall(add_all, timeout=30)).added == 0
    remove = dialer_pb2.RemoveDoNotCallRequest(numbers=["۰۹۱۲۰۰۰۰۰۰۰", "02188888888"])
    assert (await stub.RemoveDoNotCall(remove, timeout=30)).removed == 1
    listing = stub.ListDoNotCall(dialer_pb2.ListDoNotCallRequest(), timeout=30)
    entries = [entry async for entry in listing]
    assert [entry.number for entry in entries] == [number(index) for index in range(1, 1200)]
    assert {entry.reason for entry in entries} == {reason}


async def test_what_the_contract_refuses_is_refused(stub: Stub) -> None:
    """Empty reasons, unknown kinds, foreign tokens and texts that are no number change nothing."""
    no_kind = dialer_pb2.PauseRequest(reason="x")
    no_kind.kind = 7  # type: ignore[assignment] # a kind of a later contract
    listed = dialer_pb2.AddDoNotCallRequest(numbers=["09120000001", "nobody"])
    panel, manual = dialer_pb2.PAUSE_KIND_PANEL, dialer_pb2.PAUSE_KIND_MANUAL
    for call in (
        stub.Pause(dialer_pb2.PauseRequest(reason=" "), timeout=5),
        stub.Pause(no_kind, timeout=5),
        stub.Pause(dialer_pb2.PauseRequest(reason="x", kind=panel), timeout=5),
        stub.Resume(dialer_pb2.ResumeRequest(kind=panel), timeout=5),
        stub.Resume(dialer_pb2.ResumeRequest(trial_calls=1), timeout=5),
        stub.Resume(dialer_pb2.ResumeRequest(kind=manual, trial_calls=1), timeout=5),
        stub.EmergencyStop(dialer_pb2.EmergencyStopRequest(reason=" "), timeout=5),
        stub.ErasePerson(dialer_pb2.ErasePersonRequest(number="nobody"), timeout=5),
        stub.ListAttempts(dialer_pb2.ListAttemptsRequest(page_token="5:x"), timeout=5),
        stub.AddDoNotCall(listed, timeout=5),
    ):
        with pytest.raises(aio.AioRpcError) as error:
            await call
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "09120000001" not in (error.value.details() or "")
    listing = stub.ListDoNotCall(dialer_pb2.ListDoNotCallRequest(), timeout=5)
    assert [entry async for entry in listing] == []
    assert not (await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)).paused
