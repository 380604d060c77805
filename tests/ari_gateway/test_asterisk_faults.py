"""Requests to Asterisk, speech or intent that fail or are lost in the middle of a call."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.sessions.outcome import Intent
from ari_gateway.understanding import NotUnderstood
from gateway_support.asterisk import FarEnd
from gateway_support.house import house, told
from salehi.calls.v1 import calls_pb2


async def test_a_lost_originate_is_looked_up_and_never_repeated() -> None:
    """A lost answer to an originate is looked up by channel; nothing is dialled again."""
    async with house(FarEnd()) as here:
        here.asterisk.failing["POST", "/channels"] = 0
        assert told(await here.call()) == "failed:originate_lost"
        posts = [path for method, path in here.asterisk.requests if method == "POST"]
        assert posts == ["/channels"]


async def test_a_refused_originate_names_the_trunk() -> None:
    """An originate that Asterisk cannot carry out is a technical failure of the trunk."""
    async with house(FarEnd()) as here:
        here.asterisk.failing["POST", "/channels"] = 500
        call = await here.call()
        assert told(call) == "failed:trunk_unreachable"
        assert call.outcome.technical


async def test_speech_away_ends_politely_and_technical() -> None:
    """When speech gives no answer the caller hears `goodby` and the result names the reason."""
    reply = NotUnderstood("speech_unavailable")
    async with house(FarEnd(says=[1.0]), reply) as here:
        call = await here.call()
        assert told(call) == "failed:speech_unavailable"
        assert call.outcome.technical
        assert here.asterisk.played == ["hello", "goodby"]


@pytest.mark.parametrize(
    ("gives_up_s", "says_after_s"),
    [(0.01, 1.0), (2.1, 1.0), (4.0, 0.5), (2.1, None)],
    ids=["at once", "in mid-word", "after the word", "in silence"],
)
async def test_an_asterisk_that_cannot_record_is_not_a_silent_caller(
    gives_up_s: float, says_after_s: float | None
) -> None:
    """Where Asterisk has no room for recordings the call fails technically: nobody was silent."""
    async with house(FarEnd(says=[says_after_s])) as here:
        here.asterisk.gives_up_s = gives_up_s
        call = await here.call()
        assert call.outcome.result == calls_pb2.RESULT_FAILED
        assert (call.outcome.reason, call.outcome.technical) == ("recording_failed", True)


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("verb", ["play", "record"])
async def test_a_lost_answer_costs_no_call(verb: str, *, carried_out: bool) -> None:
    """Where the answer to a request is lost, the call goes on, and nothing is done twice."""
    async with house(FarEnd(says=[1.0]), Intent.NO) as here:
        attempt_id = str(uuid.uuid4())
        here.asterisk.losing.append(("POST", f"/channels/{attempt_id}/{verb}", carried_out))
        call = await here.call(attempt_id)
        assert not here.asterisk.losing
        assert told(call) == "not_interested"
        assert here.asterisk.played == ["hello", "goodby"]
        assert here.asterisk.is_empty


@pytest.mark.parametrize("carried_out", [True, False])
async def test_an_operator_is_rung_once_though_the_answer_is_lost(*, carried_out: bool) -> None:
    """Where the answer to his originate is lost he is not rung twice, nor given up."""
    operator = FarEnd(rings_s=6, leaves_s=30)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as here:
        attempt_id = await here.placed()
        await asyncio.sleep(5)
        here.asterisk.losing.append(("POST", "/channels", carried_out))
        call = await here.ended(attempt_id)
        assert not here.asterisk.losing
        assert told(call) == "connected_to_operator"
        assert len(here.asterisk.originated) == 2
        assert here.asterisk.is_empty


async def test_an_operator_of_whom_nothing_is_known_is_not_left_ringing() -> None:
    """Where nobody can tell whether an operator's phone rings, his leg is ended all the same."""
    operator = FarEnd(rings_s=2, leaves_s=3600)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as here:
        attempt_id = await here.placed()
        await asyncio.sleep(5)
        unseen = ("GET", f"/channels/{attempt_id}-operator-0", False)
        here.asterisk.losing += [("POST", "/channels", True), *[unseen] * 3]
        call = await here.ended(attempt_id)
        assert not here.asterisk.losing
        assert told(call) == "failed:operator_unavailable"
        await asyncio.sleep(10)
        assert here.asterisk.is_empty


async def test_a_prompt_nobody_heard_begin_is_waited_for_all_the_same() -> None:
    """Where the link was away as a prompt began, its end is enough: the call goes on."""
    async with house(FarEnd(says=[1.0, 1.0]), Intent.NUMBER_QUESTION, Intent.NO) as here:
        here.asterisk.tell = lambda event: (
            None if isinstance(event, ev.PlaybackStarted) else here.manager.handle(event)
        )
        call = await here.call()
        assert told(call) == "not_interested"
        assert here.asterisk.played == ["hello", "number", "goodby"]
