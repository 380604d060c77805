"""Which calls are let in: room, the share of inbound calls, push-back, and calls asked too late."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from ari_gateway.sessions.admission import AtCapacity, NotReady
from ari_gateway.sessions.outcome import Intent
from ari_gateway.settings import GatewaySettings
from gateway_support.asterisk import FarEnd
from gateway_support.house import House, MemoryLedger, house, plan_of
from salehi.calls.v1 import calls_pb2
from servicekit.errors import StartupError
from servicekit.settings import load_settings


def an_inbound_call(here: House, name: str) -> None:
    """Let somebody call us who stays."""
    here.asterisk.arrive(name, "09123334455", "02191001001", FarEnd(says=[1.0]))


async def test_outbound_calls_leave_room_for_inbound_ones() -> None:
    """Outbound calls end at MAX_LIVE_CALLS less INBOUND_RESERVE; inbound ones take the rest."""
    async with house(FarEnd(rings_s=None), max_live_calls=3, inbound_reserve=1) as here:
        await here.placed()
        await here.placed()
        with pytest.raises(AtCapacity, match="2 calls are live"):
            await here.placed()
        assert "INBOUND_RESERVE" in here.manager.why_no_outbound()
        an_inbound_call(here, "17.1")
        an_inbound_call(here, "17.2")  # the fourth: no room for anybody
        await asyncio.sleep(0.1)
        inbound = [live.plan.channel_id for live in here.manager.live if live.plan.inbound]
        assert inbound == ["17.1"]
        assert len(here.asterisk.originated) == 2


async def test_inbound_calls_use_up_the_room_of_outbound_ones() -> None:
    """Inbound calls count: with the gateway full of them nothing is dialled."""
    async with house(FarEnd(), max_live_calls=2, inbound_reserve=1) as here:
        an_inbound_call(here, "17.1")
        await asyncio.sleep(0.1)
        with pytest.raises(AtCapacity):
            await here.placed()
        assert here.asterisk.originated == []


@pytest.mark.parametrize(
    ("limits", "for_outbound"),
    [
        ({}, 190),
        ({"MAX_LIVE_CALLS": "10"}, 10),
        ({"MAX_LIVE_CALLS": "10", "INBOUND_RESERVE": "3"}, 7),
        ({"INBOUND_RESERVE": "0"}, 200),
    ],
)
def test_a_twentieth_is_kept_free(
    limits: dict[str, str], for_outbound: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unless INBOUND_RESERVE says otherwise, a twentieth of MAX_LIVE_CALLS is for inbound calls."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"ARI_PASSWORD": "secret", **limits}.items():
        monkeypatch.setenv(name, value)
    assert load_settings(GatewaySettings).room.for_outbound == for_outbound


def test_a_reserve_of_everything_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An INBOUND_RESERVE that leaves nothing for dialing stops the start, with both figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARI_PASSWORD", "secret")
    monkeypatch.setenv("MAX_LIVE_CALLS", "5")
    monkeypatch.setenv("INBOUND_RESERVE", "5")
    with pytest.raises(StartupError, match="INBOUND_RESERVE=5 must be below MAX_LIVE_CALLS=5"):
        load_settings(GatewaySettings)


async def test_push_back_holds_outbound_calls_only() -> None:
    """While speech is full nothing is dialled, the reason names it, and inbound calls are taken."""
    async with house(FarEnd(), Intent.NO) as here:
        here.pressure.pushed_back("speech", "full")
        assert here.manager.why_no_outbound().startswith("speech is full")
        with pytest.raises(AtCapacity, match=r"speech is full: .* for 2 s"):
            await here.placed()
        assert here.asterisk.originated == []
        an_inbound_call(here, "17.1")
        await asyncio.sleep(0.1)
        assert [live.plan.inbound for live in here.manager.live] == [True]


async def test_after_the_hold_one_call_is_dialled() -> None:
    """When the hold is over one call is dialled, and the next is refused again."""
    async with house(FarEnd(rings_s=None)) as here:
        here.pressure.pushed_back("intent", "too slow")
        here.clock.advance(2)
        assert here.manager.why_no_outbound() == ""
        await here.placed()
        with pytest.raises(AtCapacity, match="intent is too slow"):
            await here.placed()
        await asyncio.sleep(0.1)
        assert len(here.asterisk.originated) == 1


async def test_a_refusal_for_another_reason_costs_no_trial() -> None:
    """A call refused because the gateway is not ready does not use up the one after the hold."""
    async with house(FarEnd(rings_s=None)) as here:
        here.pressure.pushed_back("speech", "full")
        here.clock.advance(2)
        here.not_ready = "no prompts"
        with pytest.raises(NotReady, match="no prompts"):
            await here.placed()
        here.not_ready = ""
        await here.placed()


async def test_a_call_asked_too_late_is_refused() -> None:
    """At its moment or after it a call is refused, in words that name the clocks."""
    async with house(FarEnd()) as here:
        for late_s in (0.0, 1.5):
            moment = here.clock.now() - timedelta(seconds=late_s)
            with pytest.raises(NotReady, match=rf"asked too late: .* {late_s:.1f} s ago .*clocks"):
                await here.manager.place(plan_of(str(uuid.uuid4()), originate_before=moment))
        assert here.asterisk.originated == []
        assert here.ledger.calls == {}


async def test_a_call_asked_in_time_is_dialled() -> None:
    """Before its moment a call is dialled, and its request may not wait beyond the moment."""
    async with house(FarEnd(refuses=17)) as here:
        moment = here.clock.now() + timedelta(seconds=0.1)
        call = await here.call(originate_before=moment)
        assert call.outcome.reason == "busy"
        assert here.asterisk.patience_s == [pytest.approx(0.1)]


async def test_a_repeat_after_the_moment_is_answered() -> None:
    """A known attempt is answered with its call, however late it is asked for again."""
    async with house(FarEnd(refuses=17)) as here:
        moment = here.clock.now() + timedelta(seconds=1)
        call = await here.call(originate_before=moment)
        here.clock.advance(60)
        again = await here.manager.place(plan_of(call.attempt_id, originate_before=moment))
        assert again.already_known
        assert len(here.asterisk.originated) == 1


async def test_a_moment_that_passes_before_the_originate_stops_it() -> None:
    """A call that got on record too slowly is not dialled and ends as asked_too_late."""
    ledger = MemoryLedger(takes_s=4)
    async with house(FarEnd(), ledger=ledger) as here:
        plan = plan_of(str(uuid.uuid4()), originate_before=here.clock.now() + timedelta(seconds=1))
        placing = asyncio.create_task(here.manager.place(plan))
        await asyncio.sleep(3)  # on its way to the record
        here.clock.advance(1)
        assert not (await placing).already_known
        outcome = (await here.ended(plan.attempt_id)).outcome
        assert outcome.result == calls_pb2.RESULT_FAILED
        assert (outcome.reason, outcome.technical) == ("asked_too_late", False)
        assert here.asterisk.originated == []


async def test_a_call_hung_up_before_it_is_dialled_is_not_dialled() -> None:
    """A hang-up that comes while a call is put on record leaves nothing to dial."""
    ledger = MemoryLedger(takes_s=4)
    async with house(FarEnd(), ledger=ledger) as here:
        plan = plan_of(str(uuid.uuid4()))
        placing = asyncio.create_task(here.manager.place(plan))
        await asyncio.sleep(3)
        assert here.manager.hang_up(plan.attempt_id, "hung_up_by_request", unless_answered=True)
        await placing
        assert (await here.ended(plan.attempt_id)).outcome.reason == "hung_up_by_request"
        assert here.asterisk.originated == []


async def test_an_answered_call_may_be_left_alone() -> None:
    """A hang-up `unless_answered` ends a ringing call and leaves an answered one to its end."""
    async with house(FarEnd(rings_s=1.0, says=[1.0]), Intent.NO) as here:
        attempt_id = await here.placed()
        await asyncio.sleep(2)
        assert here.manager.hang_up(attempt_id, "hung_up_by_request", unless_answered=True)
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_NOT_INTERESTED
        assert here.asterisk.played == ["hello", "goodby"]
    async with house(FarEnd(rings_s=10.0)) as here:
        attempt_id = await here.placed()
        await asyncio.sleep(2)
        assert here.manager.hang_up(attempt_id, "hung_up_by_request", unless_answered=True)
        assert (await here.ended(attempt_id)).outcome.reason == "hung_up_by_request"
        assert here.asterisk.is_empty
