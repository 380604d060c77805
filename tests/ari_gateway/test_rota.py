"""Who of the operators takes the next call, and what a customer gets meanwhile."""

from __future__ import annotations

import asyncio

from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.rota import Rota, Seat
from gateway_support.asterisk import FarEnd
from gateway_support.house import house, operator_endpoint
from salehi.calls.v1 import calls_pb2

UNAVAILABLE = (calls_pb2.RESULT_FAILED, "operator_unavailable")
TWO = (Seat("200"), Seat("201"))


def came_to(call: calls_pb2.Call) -> tuple[int, str]:
    """Give a call's result and reason."""
    return call.outcome.result, call.outcome.reason


def test_who_has_waited_longest_is_next() -> None:
    """Free operators take turns, and one who is held is passed over."""
    rota = Rota([Seat("200"), Seat("201"), Seat("202")])
    assert [rota.take(name) for name in "abc"] == ["200", "201", "202"]
    assert rota.take("d") is None
    rota.let_go("b", "201")
    rota.let_go("a", "200")
    assert rota.take("e") == "200"
    assert rota.take("f", tried={"201"}) is None
    assert rota.take("g") == "201"


def test_a_queue_takes_several_calls() -> None:
    """An extension that stands for a queue is held by as many calls as it takes, no more."""
    rota = Rota([Seat("600", calls=2)])
    assert [rota.take(name) for name in "abc"] == ["600", "600", None]


async def test_a_busy_operator_is_followed_by_the_next() -> None:
    """When one is busy the next one rings, and the result names who answered."""
    busy, free = FarEnd(rings_s=0.5, refuses=17), FarEnd(leaves_s=5)
    async with house(
        FarEnd(says=[1.0]), Intent.YES, operators={"200": busy, "201": free}, seats=TWO
    ) as here:
        call = await here.call()
        assert call.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        assert call.outcome.operator_extension == "201"
        endpoints = [request["endpoint"] for request in here.asterisk.originated[1:]]
        assert endpoints == [operator_endpoint("200"), operator_endpoint("201")]
        assert here.asterisk.is_empty


async def test_when_nobody_answers_the_person_is_told_and_to_be_called_back() -> None:
    """After the last operator `goodby` is played; the result fails and asks for a callback."""
    deaf = FarEnd(rings_s=None)
    async with house(
        FarEnd(says=[1.0]), Intent.YES, operators={"200": deaf, "201": deaf}, seats=TWO
    ) as here:
        call = await here.call()
        assert came_to(call) == UNAVAILABLE
        assert call.outcome.callback_wanted
        assert call.outcome.operator_extension == ""
        assert not call.outcome.technical
        assert here.asterisk.played[-1] == "goodby"
        assert here.asterisk.is_empty


async def test_no_more_operators_ring_than_allowed() -> None:
    """OPERATOR_TRIES bounds how many phones ring for one customer."""
    busy = FarEnd(rings_s=0.2, refuses=17)
    names = [str(number) for number in range(200, 206)]
    async with house(
        FarEnd(says=[1.0]),
        Intent.YES,
        operators=dict.fromkeys(names, busy),
        seats=tuple(map(Seat, names)),
    ) as here:
        assert came_to(await here.call()) == UNAVAILABLE
        assert len(here.asterisk.originated) == 1 + 3


async def test_the_second_customer_waits_for_the_only_operator() -> None:
    """Two who say yes at once share one operator one after the other, never at once."""
    async with house(
        FarEnd(says=[1.0, 1.0]), Intent.YES, Intent.YES, operators={"200": FarEnd(leaves_s=8)}
    ) as here:
        first, second = [await here.placed() for _ in range(2)]
        calls = [await here.ended(name) for name in (first, second)]
        assert {call.outcome.operator_extension for call in calls} == {"200"}
        assert here.asterisk.most_together[operator_endpoint("200")] == 1


async def test_a_customer_does_not_wait_for_ever() -> None:
    """OPERATOR_WAIT bounds the wait for an operator who talks and talks."""
    async with house(
        FarEnd(says=[1.0, 1.0]), Intent.YES, Intent.YES, operators={"200": FarEnd(leaves_s=600)}
    ) as here:
        await here.placed()
        await asyncio.sleep(3)
        second = await here.call()
        assert came_to(second) == UNAVAILABLE
        assert second.outcome.callback_wanted


async def test_who_leaves_while_waiting_frees_the_operator() -> None:
    """A customer who hangs up while the operator rings leaves nothing ringing and nobody held."""
    async with house(
        FarEnd(says=[1.0], leaves_s=9), Intent.YES, operators={"200": FarEnd(rings_s=None)}
    ) as here:
        call = await here.call()
        assert call.outcome.result == calls_pb2.RESULT_DISCONNECTED
        assert here.asterisk.is_empty
        assert here.rota.take("next") == "200"


async def test_an_operator_who_is_gone_before_the_bridge_is_followed_by_the_next() -> None:
    """Who picks up and hangs up in the same moment does not cost the customer his call."""
    gone, free = FarEnd(leaves_s=0.0), FarEnd(leaves_s=5)
    async with house(
        FarEnd(says=[1.0]), Intent.YES, operators={"200": gone, "201": free}, seats=TWO
    ) as here:
        call = await here.call()
        assert call.outcome.operator_extension == "201"
        assert here.asterisk.is_empty


async def test_an_operator_who_cannot_be_called_is_followed_by_the_next() -> None:
    """An extension Asterisk refuses to dial (not registered) is no end of the transfer."""
    async with house(
        FarEnd(says=[1.0]), Intent.YES, operators={"201": FarEnd(leaves_s=5)}, seats=TWO
    ) as here:
        call = await here.call()
        assert call.outcome.operator_extension == "201"
