"""Requests to Asterisk, one method per request the engine makes.

Parameters travel in the JSON body, the password in the Authorization header. A request that does
something new (originate, play, record, …) is sent once: what became of a lost one is looked up,
never guessed. Looking and clearing away are repeated when the answer is lost.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote

import orjson

from ari_gateway.ari.errors import AriNotFound
from ari_gateway.ari.over_http import HttpTransport
from ari_gateway.ari.over_websocket import WebSocketTransport
from ari_gateway.ari.requests import Requests
from ari_gateway.ari.transport import Transport, basic
from ari_gateway.metrics import ORIGINATE_SECONDS


@dataclass(frozen=True)
class AriAddress:
    """Where Asterisk's REST interface is and who we are there.

    Attributes:
        base_url: for example `http://127.0.0.1:8088/ari`.
        timeout_s: longest wait for one answer, seconds.
        max_connections: connections at once.
        over_websocket: requests go over the events WebSocket where Asterisk answers there.
        tls: whose certificates are believed.
    """

    base_url: str
    username: str
    password: str
    app: str
    timeout_s: float = 10.0
    max_connections: int = 100
    over_websocket: bool = True
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)


@dataclass(frozen=True)
class Originate:
    """A call to place.

    Attributes:
        channel_id: the id the channel gets; refused (409) while a channel has it.
        endpoint: for example `PJSIP/100109120000101@trunk`.
        args: arguments our application gets with StasisStart.
        timeout_s: how long the far end may ring.
        variables: channel variables, functions too (`TALK_DETECT(set)`).
        sent_within_s: seconds after which the request must not leave any more; None: no such limit.
    """

    channel_id: str
    endpoint: str
    args: str
    timeout_s: int
    caller_id: str
    variables: dict[str, str]
    sent_within_s: float | None = None


@dataclass(frozen=True)
class Belongings:
    """What belongs to our application, by id."""

    channels: frozenset[str] = frozenset()
    bridges: frozenset[str] = frozenset()


class AriRest:
    """The requests. Every method may raise the errors of `ari_gateway.ari.errors`.

    Requests marked `apart` wait behind a running playback, or have a large answer.

    Attributes:
        address: where Asterisk is.
        websocket: the way over the events WebSocket; None when it is not to be used.
        originate_took: told after each originate how long Asterisk took for it, seconds.
    """

    def __init__(self, address: AriAddress, *, http: Transport | None = None) -> None:
        """Make the client, in a running event loop; `http` stands in for HTTP in tests."""
        self.address = address
        self._http = http or HttpTransport(
            address.base_url,
            basic(address.username, address.password),
            max_connections=address.max_connections,
            tls=address.tls,
        )
        self._app = f"/applications/{_part(address.app)}"
        self.websocket = WebSocketTransport() if address.over_websocket else None
        self._requests = Requests(self._http, self.websocket, address.timeout_s)
        self.originate_took: Callable[[float], None] = lambda _seconds: None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    # asterisk

    async def startup_time(self) -> str:
        """Tell when this Asterisk started: another value means it is another run."""
        info = await self._requests.once("GET", "/asterisk/info?only=status")
        return str(orjson.loads(info)["status"]["startup_time"])

    async def subscribe(self, source: str) -> None:
        """Get the events of something that is not in our application, such as `bridge:ID`."""
        await self._requests.once("POST", f"{self._app}/subscription", {"eventSource": source})

    async def leave_out(self, *event_types: str) -> None:
        """Get no more events of these types; what was left out before is not any more."""
        unwanted = {"disallowed": [{"type": name} for name in event_types]}
        await self._requests.once("PUT", f"{self._app}/eventFilter", unwanted)

    async def application(self) -> Belongings:
        """Tell which channels and bridges belong to our application."""
        try:
            found = orjson.loads(await self._requests.repeatable("GET", self._app))
        except AriNotFound:  # nothing is left of it
            return Belongings()
        return Belongings(frozenset(found["channel_ids"]), frozenset(found["bridge_ids"]))

    # channels

    async def originate(self, call: Originate) -> None:
        """Ask Asterisk to dial; sent once, whatever happens.

        Raises:
            AriNotSent: it could not leave within `sent_within_s`; nothing is dialled.
        """
        began = time.perf_counter()
        try:
            await self._requests.once(
                "POST",
                "/channels",
                {
                    "endpoint": call.endpoint,
                    "app": self.address.app,
                    "appArgs": call.args,
                    "channelId": call.channel_id,
                    "callerId": call.caller_id,
                    "timeout": call.timeout_s,
                    "variables": call.variables,
                },
                sent_within_s=call.sent_within_s,
            )
        finally:
            took_s = time.perf_counter() - began
            ORIGINATE_SECONDS.observe(took_s)
            self.originate_took(took_s)

    async def channel_exists(self, channel_id: str) -> bool:
        """Whether the channel lives."""
        return await self._exists(f"/channels/{_part(channel_id)}")

    async def channel_states(self) -> dict[str, str]:
        """All channels of this Asterisk, ours or not: state ("Up", "Ringing", …) by id."""
        channels = orjson.loads(await self._requests.repeatable("GET", "/channels", apart=True))
        return {str(channel["id"]): str(channel["state"]) for channel in channels}

    async def answer(self, channel_id: str) -> None:
        """Answer an inbound channel."""
        await self._requests.once("POST", f"/channels/{_part(channel_id)}/answer", apart=True)

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        """Set a variable or function of a channel; waits behind a running playback."""
        await self._requests.once(
            "POST",
            f"/channels/{_part(channel_id)}/variable",
            {"variable": name, "value": value},
            apart=True,
        )

    async def hang_up(self, channel_id: str, reason: str = "normal") -> None:
        """End a channel, also one that still rings; nothing happens when it is gone.

        `reason` is one of Asterisk's: before the answer `busy` makes a busy tone at the far end.
        """
        await self._delete(f"/channels/{_part(channel_id)}?reason={_part(reason)}")

    # playbacks

    async def play(self, target: str, media: str, playback_id: str) -> None:
        """Play to `channels/ID` or `bridges/ID`."""
        await self._requests.once(
            "POST", f"/{target}/play", {"media": media, "playbackId": playback_id}
        )

    async def stop_playback(self, playback_id: str) -> None:
        """Stop a playback; nothing happens when it is over."""
        await self._delete(f"/playbacks/{_part(playback_id)}")

    async def playback_exists(self, playback_id: str) -> bool:
        """Whether the playback goes on or waits."""
        return await self._exists(f"/playbacks/{_part(playback_id)}")

    # recordings

    async def record(
        self, channel_id: str, name: str, *, max_duration_s: int, max_silence_s: int
    ) -> None:
        """Record what the channel says, as 8 kHz WAV."""
        await self._requests.once(
            "POST",
            f"/channels/{_part(channel_id)}/record",
            {
                "name": name,
                "format": "wav",
                "maxDurationSeconds": max_duration_s,
                "maxSilenceSeconds": max_silence_s,
                "ifExists": "overwrite",
                "beep": False,
                "terminateOn": "none",
            },
        )

    async def stop_recording(self, name: str) -> None:
        """End a recording and keep it; nothing happens when it is over."""
        try:
            await self._requests.repeatable("POST", f"/recordings/live/{_part(name)}/stop")
        except AriNotFound:
            return

    async def live_recording_exists(self, name: str) -> bool:
        """Whether the recording goes on."""
        return await self._exists(f"/recordings/live/{_part(name)}")

    async def recording_file(self, name: str) -> bytes:
        """Fetch a stored recording."""
        return await self._requests.repeatable(
            "GET", f"/recordings/stored/{_part(name)}/file", apart=True
        )

    async def delete_recording(self, name: str) -> None:
        """Delete a stored recording; nothing happens when it is gone."""
        await self._delete(f"/recordings/stored/{_part(name)}")

    async def stored_recordings(self) -> list[str]:
        """Names of all stored recordings of this Asterisk, ours or not."""
        stored = await self._requests.repeatable("GET", "/recordings/stored", apart=True)
        return [str(recording["name"]) for recording in orjson.loads(stored)]

    # bridges

    async def bridge_members(self, bridge_id: str) -> frozenset[str]:
        """Channels in a bridge; none when it is gone."""
        try:
            bridge = await self._requests.repeatable("GET", f"/bridges/{_part(bridge_id)}")
        except AriNotFound:
            return frozenset()
        return frozenset(orjson.loads(bridge)["channels"])

    async def create_bridge(self, bridge_id: str) -> None:
        """Make a mixing bridge; with the id in the body a repetition would be 500, not 409."""
        await self._requests.repeatable("POST", f"/bridges/{_part(bridge_id)}?type=mixing")

    async def add_to_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        """Let channels talk; waits behind a running playback of theirs."""
        await self._requests.once(
            "POST",
            f"/bridges/{_part(bridge_id)}/addChannel",
            {"channel": list(channel_ids)},
            apart=True,
        )

    async def delete_bridge(self, bridge_id: str) -> None:
        """Delete a bridge; its channels stay. Nothing happens when it is gone."""
        await self._delete(f"/bridges/{_part(bridge_id)}")

    async def _exists(self, path: str) -> bool:
        try:
            await self._requests.repeatable("GET", path)
        except AriNotFound:
            return False
        return True

    async def _delete(self, path: str) -> None:
        with suppress(AriNotFound):
            await self._requests.repeatable("DELETE", path)


def _part(name: str) -> str:
    return quote(name, safe="")
