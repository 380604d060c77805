"""The breaker's hand on the campaign, both sides: the reporter's client and the real dialer."""

from __future__ import annotations

from pathlib import Path

from dialer.claim import Claimer, Refusal
from dialer.engine import MIGRATIONS
from dialer.gateway import Gateway
from dialer_support.campaign import add, claimed, place, refused, static_contact
from dialer_support.served import RULES, Doors
from reporter.dialer_client import IDEMPOTENT, SERVICE, GrpcDialer
from servicekit.channel import Peer
from servicekit.database import open_database
from servicekit.storage import Storage
from support.timing import HandClock


async def test_the_breaker_holds_tries_one_call_and_lets_go(tmp_path: Path) -> None:
    """What the reporter asks for is what claims keep to: none, then exactly one, then all."""
    engine = await open_database(f"sqlite:///{tmp_path / 'dialer.db'}", MIGRATIONS)
    storage, clock = Storage(engine), HandClock()
    await add(storage, [static_contact(index) for index in range(3)], clock)
    claimer = Claimer(storage, RULES, clock)
    async with Peer("127.0.0.1:1", "nobody") as nobody:
        doors = Doors(storage, Gateway(nobody), clock, tmp_path)
        async with doors.served() as address, Peer(address, SERVICE, idempotent=IDEMPOTENT) as peer:
            switch = GrpcDialer(peer)
            await switch.pause("5 technical failures in a row")
            assert (await refused(claimer)).why is Refusal.BREAKER
            await switch.grant_trial()
            assert await switch.is_held()
            await place(storage, await claimed(claimer), clock)
            clock.advance(5)
            assert (await refused(claimer)).why is Refusal.BREAKER
            await switch.resume()
            assert not await switch.is_held()
            await claimed(claimer)
    await engine.dispose()
