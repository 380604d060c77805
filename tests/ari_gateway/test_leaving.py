"""Customers who leave in the middle, and calls that break there."""

from __future__ import annotations

import asyncio

import pytest

from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.talk import Talk
from gateway_support.asterisk import FarEnd
from gateway_support.house import house, told


async def test_leaving_during_hello_is_a_hangup() -> None:
    """Who leaves during `hello` is a `hangup`, and nothing of the call stays."""
    async with house(FarEnd(leaves_s=1.0)) as here:
        assert told(await here.call()) == "hangup"
        assert here.asterisk.is_empty


async def test_leaving_during_listening_is_a_hangup() -> None:
    """Who leaves while listened to is a `hangup`, and the recording is deleted."""
    async with house(FarEnd(leaves_s=4.0, says=[3.0])) as here:
        assert told(await here.call()) == "hangup"
        assert here.asterisk.is_empty


async def test_leaving_while_understood_is_a_hangup() -> None:
    """Who leaves while his reply is being transcribed is a `hangup`."""
    async with house(FarEnd(leaves_s=6.0, says=[1.0]), Intent.YES) as here:
        here.ears.takes_s = 30
        assert told(await here.call()) == "hangup"
        assert here.asterisk.is_empty


async def test_leaving_while_a_reply_is_stored_leaves_no_audio() -> None:
    """Who leaves between the end of his reply and its file leaves nothing on Asterisk's disk."""
    async with house(FarEnd(says=[1.0])) as here:
        here.asterisk.stores_late_s = 0.5
        attempt_id = await here.placed()
        while not any(path.endswith("-r0/stop") for _, path in here.asterisk.requests):
            await asyncio.sleep(0.01)
        here.asterisk.leave(attempt_id)
        assert told(await here.ended(attempt_id)) == "hangup"
        await asyncio.sleep(1)
        assert here.asterisk.is_empty


async def test_an_event_that_is_too_much_ends_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """When an event breaks a call, that call fails and is cleared away; its neighbour goes on."""
    real = Talk.started

    def breaks(talk: Talk) -> None:
        monkeypatch.setattr(Talk, "started", real)
        raise ArithmeticError

    monkeypatch.setattr(Talk, "started", breaks)
    async with house(FarEnd(says=[1.0, 1.0]), Intent.NO, Intent.NO) as here:
        attempts = [await here.placed(), await here.placed()]
        results = sorted([told(await here.ended(attempt)) for attempt in attempts])
        assert results == ["failed:internal_error", "not_interested"]
        assert here.asterisk.is_empty


async def test_leaving_while_the_operator_rings_is_disconnected() -> None:
    """Who leaves while the operator rings is `disconnected`, and the operator's phone stops."""
    customer = FarEnd(says=[1.0], leaves_s=14.0)
    async with house(customer, Intent.YES, operator=FarEnd(rings_s=None)) as here:
        assert told(await here.call()) == "disconnected"
        assert here.asterisk.is_empty
