"""The simulated ARI: calls go through it as through the real one, twenty at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from ari_gateway.ari import errors
from ari_gateway.ari import events as ev
from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers
from ari_gateway.ari.rest import AriAddress, AriRest, Originate
from lab.simulated_ari.people import People
from lab.simulated_ari.server import SimulatedAri
from lab.simulated_ari.serving import serving
from support.timing import eventually

QUICK = People(
    rings_s=0.1,
    prompt_s=0.1,
    thinks_s=0.05,
    speaks_s=0.05,
    operator_rings_s=0.1,
    operator_talks_s=2.0,
)


@dataclass
class Phone:
    """A client of the simulated ARI, and the events it got, by channel."""

    ari: AriRest
    server: SimulatedAri
    port: int
    events: defaultdict[str, asyncio.Queue[ev.Event]] = field(
        default_factory=lambda: defaultdict(asyncio.Queue)
    )

    async def until(self, channel_id: str, *kinds: type[ev.Event]) -> list[str]:
        """Wait for the last of these events; give the names of all that came, in order."""
        names: list[str] = []
        for kind in kinds:
            while not names or names[-1] != kind.__name__:
                event = await asyncio.wait_for(self.events[channel_id].get(), 5)
                names.append(type(event).__name__)
        return names


@asynccontextmanager
async def phone(*, over_websocket: bool = True) -> AsyncIterator[Phone]:
    """Serve a simulated ARI, and connect to it."""
    server = SimulatedAri(QUICK, username="u", password="p")
    async with serving(server) as port:
        address = AriAddress(
            f"http://127.0.0.1:{port}/ari", "u", "p", "salehi", 5, over_websocket=over_websocket
        )
        async with AriRest(address) as ari:
            made = Phone(ari, server, port)
            up = asyncio.Event()

            async def is_up() -> None:
                up.set()

            def take(event: ev.Event) -> None:
                made.events[event.channel_id].put_nowait(event)

            link = EventLink(
                LinkAddress(f"ws://127.0.0.1:{port}/ari/events", "u", "p", "salehi", 5),
                LinkHandlers(is_up, lambda: None, take),
                ari.websocket,
            )
            linking = asyncio.create_task(link.run())
            await asyncio.wait_for(up.wait(), 5)
            if ari.websocket is not None:
                await eventually(lambda: server.over_websocket == 1)
            yield made
            linking.cancel()
            await asyncio.wait({linking})


def call(channel_id: str, endpoint: str = "PJSIP/1001@trunk", leg: str = "outbound") -> Originate:
    """Describe a call; the end of talk is noticed after 20 ms."""
    variables = {"TALK_DETECT(set)": "20,256"}
    return Originate(channel_id, endpoint, f"{leg},{channel_id}", 10, "123", variables)


async def one_call(phone: Phone, channel_id: str) -> None:
    """Lead a call with an operator from the originate to nothing left of it."""
    ari = phone.ari
    await ari.originate(call(channel_id))
    assert await phone.until(channel_id, ev.StasisStart) == [
        *("Dial", "Dial", "ChannelStateChange", "ChannelStateChange", "Dial", "StasisStart")
    ]
    await ari.play(f"channels/{channel_id}", "sound:hello", f"{channel_id}-p")
    await phone.until(channel_id, ev.PlaybackStarted, ev.PlaybackFinished)
    await ari.record(channel_id, f"{channel_id}-r", max_duration_s=5, max_silence_s=5)
    await phone.until(channel_id, ev.TalkingStarted, ev.TalkingFinished)
    await ari.stop_recording(f"{channel_id}-r")
    await phone.until(channel_id, ev.RecordingFinished)
    assert (await ari.recording_file(f"{channel_id}-r")).startswith(b"RIFF")
    await ari.delete_recording(f"{channel_id}-r")
    operator = f"{channel_id}-operator"
    await ari.originate(call(operator, "PJSIP/200@operators", "operator"))
    await phone.until(operator, ev.StasisStart)
    await ari.create_bridge(f"{channel_id}-b")
    await ari.add_to_bridge(f"{channel_id}-b", operator, channel_id)
    assert await ari.bridge_members(f"{channel_id}-b") == {operator, channel_id}
    left = await phone.until(operator, ev.ChannelDestroyed)
    assert left == ["ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"]
    await ari.hang_up(channel_id)
    await phone.until(channel_id, ev.ChannelHangupRequest, ev.StasisEnd, ev.ChannelDestroyed)
    await ari.delete_bridge(f"{channel_id}-b")


@pytest.mark.parametrize("over_websocket", [True, False])
async def test_twenty_calls_at_once_go_through_and_nothing_is_left(over_websocket: bool) -> None:  # noqa: FBT001 - a parameter
    """Twenty calls at once get their events in Asterisk's order, by either way of asking."""
    async with phone(over_websocket=over_websocket) as made:
        async with asyncio.TaskGroup() as calls:
            for number in range(20):
                calls.create_task(one_call(made, f"c{number}"))
        asterisk = made.server.asterisk
        assert (asterisk.originated, asterisk.channels, asterisk.bridges) == (40, {}, {})
        assert not asterisk.stored
        assert (made.server.over_websocket > 0) is over_websocket
        async with httpx.AsyncClient(trust_env=False) as http:
            figures = (await http.get(f"http://127.0.0.1:{made.port}/_figures")).json()
        assert figures["reactions"]["StasisStart"]["count"] >= 20


async def test_what_waits_for_a_playback_waits_here_too() -> None:
    """A variable is set, and a channel bridged, only when the playback on it is over."""
    async with phone() as made:
        await made.ari.originate(call("c"))
        await made.until("c", ev.StasisStart)
        await made.ari.play("channels/c", "sound:hello", "p1")
        await made.ari.set_variable("c", "x", "y")
        assert not made.server.asterisk.playbacks
        await made.ari.create_bridge("b")
        await made.ari.play("channels/c", "sound:hello", "p2")
        await made.ari.add_to_bridge("b", "c")
        assert not made.server.asterisk.playbacks


async def test_a_busy_id_and_a_gone_channel_are_refused() -> None:
    """A live channel's id is taken (409), and whatever concerns a channel that is gone is 404."""
    async with phone() as made:
        await made.ari.originate(call("c"))
        with pytest.raises(errors.AriConflict):
            await made.ari.originate(call("c"))
        await made.ari.hang_up("c")
        await made.until("c", ev.ChannelDestroyed)
        with pytest.raises(errors.AriNotFound):
            await made.ari.play("channels/c", "sound:hello", "p")
