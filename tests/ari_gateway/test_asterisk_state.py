"""What was missed while the link was away is settled by looking."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.asterisk import AsteriskState, wait_for_asterisk
from ari_gateway.prompts import PromptCheck
from ari_gateway.sessions.outcome import Intent
from gateway_support.asterisk import Asterisk, FarEnd
from gateway_support.house import House, house, plan_of
from salehi.calls.v1 import calls_pb2
from servicekit.errors import StartupError
from support.timing import running


def state_of(here: House) -> AsteriskState:
    """Make the state of a house's Asterisk."""
    ari = AriRest(AriAddress("http://asterisk/ari", "u", "p", "salehi"), http=here.asterisk)
    prompts = PromptCheck(ari, "salehi", sounds="sound:custom/en", prompts=[], sound_dir=None)
    return AsteriskState(ari, lambda: here.manager, here.ledger, prompts, "salehi")


async def placed(here: House, for_s: float) -> str:
    """Place a call and let it run for a while; give its attempt."""
    plan = plan_of(str(uuid.uuid4()))
    await here.manager.place(plan)
    await asyncio.sleep(for_s)
    return plan.attempt_id


async def unheard(here: House, state: AsteriskState, for_s: float) -> None:
    """Be without a link for so many seconds in which Asterisk believes that it has one."""
    state.on_down()
    here.asterisk.tell = lambda _: None
    await asyncio.sleep(for_s)
    here.asterisk.tell = here.manager.handle
    await state.on_up()


@asynccontextmanager
async def ringing_operator() -> AsyncIterator[tuple[House, AsteriskState, str]]:
    """Lead a call, whose attempt is given, until an operator rings, who answers in 3 s at most."""
    operator = FarEnd(rings_s=3, leaves_s=5)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as here:
        state = state_of(here)
        await state.on_up()
        yield here, state, await placed(here, 11)  # hello, a yes, `yes`


def operators_rung(here: House) -> int:
    """Say how many operator's legs were originated."""
    return sum("-operator-" in body["channelId"] for body in here.asterisk.originated)


async def test_a_call_that_ended_unseen_is_ended() -> None:
    """A channel that is gone when the link is back ends its call."""
    async with house(FarEnd()) as here:
        state = state_of(here)
        await state.on_up()
        attempt_id = await placed(here, 2.5)
        state.on_down()
        assert state.why_not_ready
        here.asterisk.vanish(attempt_id)
        await state.on_up()
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_HANGUP
        assert state.why_not_ready == ""


async def test_a_phone_that_stopped_ringing_unseen_is_a_lost_link() -> None:
    """A phone that refused, or answered and found nobody, meets with a failure of the link."""
    async with house(FarEnd(rings_s=None)) as here:
        state = state_of(here)
        await state.on_up()
        attempt_id = await placed(here, 2)
        state.on_down()
        here.asterisk.vanish(attempt_id)
        await state.on_up()
        outcome = (await here.ended(attempt_id)).outcome
        assert outcome.result == calls_pb2.RESULT_FAILED
        assert (outcome.reason, outcome.technical) == ("link_lost", True)


async def test_a_phone_is_not_left_ringing_for_nobody() -> None:
    """When the link stays away, ringing legs are hung up: an answer would reach nobody."""
    async with house(FarEnd(rings_s=None)) as here:
        state = state_of(here)
        async with running(state.run()):
            await state.on_up()
            attempt_id = await placed(here, 2)
            state.on_down()
            assert (await here.ended(attempt_id)).outcome.reason == "link_lost"
            assert here.asterisk.is_empty


async def test_a_ringing_leg_outlives_a_short_loss_of_the_link() -> None:
    """A phone that still rings when the link is back rings on, and its answer is heard."""
    async with house(FarEnd(rings_s=6)) as here:
        state = state_of(here)
        async with running(state.run()):
            await state.on_up()
            attempt_id = await placed(here, 2)
            state.on_down()
            await asyncio.sleep(1)
            await state.on_up()
            assert (await here.ended(attempt_id)).outcome.result == calls_pb2.RESULT_HANGUP
            assert here.asterisk.played == ["hello", "goodby"]


async def test_an_answer_missed_at_the_edge_of_a_loss_is_found() -> None:
    """A channel that is up though no event said so is an answered call."""
    async with house(FarEnd(rings_s=3)) as here:
        state = state_of(here)
        await state.on_up()
        attempt_id = await placed(here, 2)
        await unheard(here, state, 1.5)
        assert (await here.ended(attempt_id)).HasField("answered_at")


async def test_an_answered_call_goes_on() -> None:
    """A playback that ended unseen is found to have ended, and the call goes on."""
    async with house(FarEnd()) as here:
        state = state_of(here)
        await state.on_up()
        attempt_id = await placed(here, 2)
        await unheard(here, state, 4)  # hello ends
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_HANGUP
        assert here.asterisk.played == ["hello", "goodby"]


async def test_an_operator_who_answered_unheard_is_rung_again() -> None:
    """An operator hung up on because he answered while the link was away is rung once more."""
    async with ringing_operator() as (here, state, attempt_id):
        (ringing,) = (name for name in here.asterisk.channels if "-operator-" in name)
        state.on_down()
        here.asterisk.vanish(ringing)
        await state.on_up()
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        assert here.asterisk.is_empty


async def test_an_operator_whose_answer_was_missed_is_bridged() -> None:
    """An operator who is up though no event said so talks to the customer at once."""
    async with ringing_operator() as (here, state, attempt_id):
        await unheard(here, state, 3)  # he answers
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        assert operators_rung(here) == 1
        assert here.asterisk.is_empty


async def test_an_operator_hung_up_on_as_the_link_returns_is_rung_again() -> None:
    """An operator seen up, but hung up on by Asterisk before he is bridged, is rung once more."""
    async with ringing_operator() as (here, state, attempt_id):
        (ringing,) = (name for name in here.asterisk.channels if "-operator-" in name)
        state.on_down()
        here.asterisk.answered.add(ringing)
        await state.on_up()
        here.asterisk.leave(ringing)
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        assert operators_rung(here) == 2
        assert here.asterisk.is_empty


async def test_a_restarted_asterisk_ends_its_calls() -> None:
    """Another run of Asterisk has none of the old calls: they end as asterisk_restart."""
    async with house(FarEnd()) as here:
        state = state_of(here)
        await state.on_up()
        attempt_id = await placed(here, 2)
        state.on_down()
        here.asterisk.startup_time = "tomorrow"
        here.asterisk.vanish(attempt_id)
        await state.on_up()
        call = await here.ended(attempt_id)
        assert (call.outcome.reason, call.outcome.technical) == ("asterisk_restart", True)


async def test_a_second_gateway_is_loud() -> None:
    """When another client takes the application, this one ends with a line that says so."""
    async with house(FarEnd()) as here:
        with pytest.raises(StartupError, match="took over ARI_APP_NAME=salehi"):
            state_of(here).on_event(ev.ApplicationReplaced(""))


async def test_waiting_for_asterisk_ends_with_a_line() -> None:
    """An Asterisk that never answers is one line after the wait, naming the address."""
    asterisk = Asterisk({})
    asterisk.failing["GET", "/asterisk"] = 0
    async with AriRest(AriAddress("http://asterisk/ari", "u", "p", "salehi"), http=asterisk) as ari:
        with pytest.raises(StartupError, match="ARI_BASE_URL=http://asterisk/ari does not answer"):
            await wait_for_asterisk(ari, base_url="http://asterisk/ari", username="u", wait_s=10)
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=1)


async def test_an_asterisk_that_filters_no_events_is_linked_all_the_same() -> None:
    """That Asterisk refuses to leave events out keeps nobody from calling."""
    async with house(FarEnd()) as here:
        here.asterisk.failing["PUT", "/applications"] = 400
        state = state_of(here)
        await state.on_up()
        assert state.why_not_ready == ""
        assert ("PUT", "/applications/salehi/eventFilter") in here.asterisk.requests
