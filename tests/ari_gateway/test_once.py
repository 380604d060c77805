"""An attempt is dialled at most once: what counts is what Asterisk was asked."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from pathlib import Path

import pytest

from ari_gateway.sessions.admission import NotReady
from ari_gateway.sessions.adoption import take_over
from ari_gateway.sessions.ledger import Entry
from ari_gateway.sessions.sql_ledger import SqlLedger
from gateway_support.asterisk import FarEnd
from gateway_support.house import House, MemoryLedger, house, plan_of
from salehi.calls.v1 import calls_pb2
from servicekit.database import open_database
from servicekit.storage import StoreUnavailable, WholeTransactions


async def last_news(here: House) -> calls_pb2.CallState.ValueType:
    """Give the last state that watchers were told."""
    present = await anext(here.manager.feed.watch("", 0))
    changes = here.manager.feed.watch(present.epoch, present.sequence - 1)
    return (await anext(changes)).changed.state


async def test_twenty_requests_at_once_dial_once() -> None:
    """Of twenty requests for one attempt that overlap in every step, one dials."""
    ledger = MemoryLedger(takes_s=0.5)
    async with house(FarEnd(refuses=17), ledger=ledger) as here:
        attempt_id = str(uuid.uuid4())
        requests: list[asyncio.Task[bool]] = []

        async def ask() -> bool:
            return (await here.manager.place(plan_of(attempt_id))).already_known

        for _ in range(20):
            requests.append(asyncio.create_task(ask()))
            await asyncio.sleep(0.1)
        known = await asyncio.gather(*requests)
        await here.ended(attempt_id)
        assert known.count(False) == 1
        assert len(here.asterisk.originated) == 1


async def test_a_repeat_of_a_call_that_came_and_went_dials_nothing() -> None:
    """A repeat is told how its call ended, and nobody hears of a second one."""
    ledger = MemoryLedger()
    async with house(FarEnd(), ledger=ledger) as here:
        here.asterisk.failing["POST", "/channels"] = 500
        attempt_id = str(uuid.uuid4())
        call = await here.call(attempt_id)
        ledger.takes_s = 5
        again = await here.manager.place(plan_of(attempt_id))
        assert again.already_known
        assert again.call == call
        posts = [path for method, path in here.asterisk.requests if method == "POST"]
        assert posts == ["/channels"]
        assert await last_news(here) == calls_pb2.CALL_STATE_ENDED


async def test_a_request_that_is_given_up_is_dialled_once() -> None:
    """When who asked stops waiting, the call goes on, and asking again finds it."""
    ledger = MemoryLedger(takes_s=4)
    async with house(FarEnd(refuses=17), ledger=ledger) as here:
        plan = plan_of(str(uuid.uuid4()))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await here.manager.place(plan)
        assert (await here.manager.place(plan)).already_known
        assert (await here.ended(plan.attempt_id)).outcome.reason == "busy"
        assert len(here.asterisk.originated) == 1


async def test_a_repeat_waits_until_its_call_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests for a call that cannot be put on record are both told so."""
    ledger = MemoryLedger()
    async with house(FarEnd(), ledger=ledger) as here:

        async def fail(*_: object) -> None:
            await asyncio.sleep(2)
            raise StoreUnavailable("disk full")

        monkeypatch.setattr(ledger, "begin", fail)
        plan = plan_of(str(uuid.uuid4()))
        requests = [here.manager.place(plan), here.manager.place(plan)]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * 2
        assert here.asterisk.originated == []


async def test_a_repeat_is_answered_when_nothing_may_be_dialled() -> None:
    """Who asks again for a call that has ended is told of it, dialling or not."""
    async with house(FarEnd(refuses=17)) as here:
        attempt_id = str(uuid.uuid4())
        call = await here.call(attempt_id)
        here.not_ready = "no link to Asterisk"
        again = await here.manager.place(plan_of(attempt_id))
        assert (again.call, again.already_known) == (call, True)
        with pytest.raises(NotReady):
            await here.manager.place(plan_of(str(uuid.uuid4())))


async def test_a_call_that_cannot_be_put_on_record_is_not_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a record nothing is dialled and no place stays taken; later the same id may dial."""
    ledger = MemoryLedger()
    async with house(FarEnd(refuses=17), ledger=ledger, max_live_calls=1) as here:
        plan = plan_of(str(uuid.uuid4()))

        async def fail(*_: object) -> None:
            raise StoreUnavailable("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(ledger, "begin", fail)
            with pytest.raises(StoreUnavailable):
                await here.manager.place(plan)
            here.asterisk.arrive("17.1", "09123334455", "02191001001", FarEnd())
            await asyncio.sleep(1)
        assert here.asterisk.originated == []
        assert here.asterisk.is_empty  # the caller was turned away
        assert here.manager.live == []
        await here.manager.place(plan)
        await here.ended(plan.attempt_id)
        assert len(here.asterisk.originated) == 1


async def test_an_end_that_cannot_be_kept_is_kept_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose outcome cannot be written stays live until it is, and is not lost."""
    ledger = MemoryLedger()
    async with house(FarEnd(refuses=17), ledger=ledger) as here:

        async def fail(*_: object) -> None:
            raise StoreUnavailable("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(ledger, "end", fail)
            attempt_id = await here.placed()
            await asyncio.sleep(60)
            assert [live.plan.attempt_id for live in here.manager.live] == [attempt_id]
        assert (await here.ended(attempt_id)).outcome.reason == "busy"


@pytest.mark.real_time
async def test_after_a_restart_no_attempt_is_dialled_again(tmp_path: Path) -> None:
    """A new gateway on the same file answers every attempt of the old one and dials none again."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    ended, ringing = str(uuid.uuid4()), str(uuid.uuid4())
    engine = await open_database(url, "ari_gateway:migrations")
    async with contextlib.AsyncExitStack() as stack:
        old = await stack.enter_async_context(
            house(FarEnd(rings_s=0.01, refuses=17), ledger=SqlLedger(WholeTransactions(engine)))
        )
        await old.placed(ended)
        await old.ended_in_ledger(ended)
        call = calls_pb2.Call(attempt_id=ringing)
        await SqlLedger(WholeTransactions(engine)).begin(Entry(call, ringing))  # then it is killed
        assert len(old.asterisk.originated) == 1
    await engine.dispose()

    engine = await open_database(url, "ari_gateway:migrations")
    ledger = SqlLedger(WholeTransactions(engine))
    async with house(FarEnd(), ledger=ledger) as new:
        async with new.rest() as ari:
            await take_over(new.manager, ari, ledger)
        for attempt_id, reason in ((ended, "busy"), (ringing, "gateway_restart")):
            placed = await asyncio.gather(
                *(new.manager.place(plan_of(attempt_id)) for _ in range(5))
            )
            assert {one.already_known for one in placed} == {True}
            assert {one.call.outcome.reason for one in placed} == {reason}
        assert new.asterisk.originated == []
    await engine.dispose()
