"""Requests to Asterisk, one method per request the engine makes.

Parameters travel in the JSON body, the password in the Authorization header. A request that does
something new (originate, play, record, …) is sent once: what became of a lost one is looked up,
never guessed. Looking and clearing away are repeated when the answer is lost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson
import stamina

from ari_gateway.ari.errors import AriNotFound, AriNotSent, AriUnavailable
from ari_gateway.ari.refusals import refusal_of
from ari_gateway.metrics import ARI_REQUEST_SECONDS

# Below Asterisk's session_keep_alive (15 s), or a request may go into a closing connection.
_KEEPALIVE_EXPIRY_S = 10.0


@dataclass(frozen=True)
class AriAddress:
    """Where Asterisk's REST interface is and who we are there.

    Attributes:
        base_url: for example `http://127.0.0.1:8088/ari`.
        timeout_s: longest wait for one answer, seconds.
        max_connections: connections at once.
    """

    base_url: str
    username: str
    password: str
    app: str
    timeout_s: float = 10.0
    max_connections: int = 100


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


class AriRest:
    """The requests. Every method may raise the errors of `ari_gateway.ari.errors`."""

    def __init__(
        self, address: AriAddress, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Make the client; `transport` stands in for the network in tests."""
        self._app = address.app
        self._timeout_s = address.timeout_s
        self._http = httpx.AsyncClient(
            base_url=address.base_url.rstrip("/"),
            auth=httpx.BasicAuth(address.username, address.password),
            timeout=httpx.Timeout(address.timeout_s),
            limits=httpx.Limits(
                max_connections=address.max_connections,
                max_keepalive_connections=address.max_connections,
                keepalive_expiry=_KEEPALIVE_EXPIRY_S,
            ),
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    # asterisk

    async def startup_time(self) -> str:
        """Tell when this Asterisk started: another value means it is another run."""
        info = await self._request("GET", "/asterisk/info?only=status")
        return str(orjson.loads(info)["status"]["startup_time"])

    async def subscribe(self, source: str) -> None:
        """Get the events of something that is not in our application, such as `bridge:ID`."""
        path = f"/applications/{_part(self._app)}/subscription"
        await self._request("POST", path, {"eventSource": source})

    # channels

    async def originate(self, call: Originate) -> None:
        """Ask Asterisk to dial; sent once, whatever happens.

        Raises:
            AriNotSent: it could not leave within `sent_within_s`; nothing is dialled.
        """
        await self._request(
            "POST",
            "/channels",
            {
                "endpoint": call.endpoint,
                "app": self._app,
                "appArgs": call.args,
                "channelId": call.channel_id,
                "callerId": call.caller_id,
                "timeout": call.timeout_s,
                "variables": call.variables,
            },
            sent_within_s=call.sent_within_s,
        )

    async def channel_exists(self, channel_id: str) -> bool:
        """Whether the channel lives."""
        return await self._exists(f"/channels/{_part(channel_id)}")

    async def channel_ids(self) -> set[str]:
        """All channels of this Asterisk, ours or not."""
        return {
            str(channel["id"]) for channel in orjson.loads(await self._request("GET", "/channels"))
        }

    async def answer(self, channel_id: str) -> None:
        """Answer an inbound channel."""
        await self._request("POST", f"/channels/{_part(channel_id)}/answer")

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        """Set a variable or function of a channel; waits behind a running playback."""
        await self._request(
            "POST", f"/channels/{_part(channel_id)}/variable", {"variable": name, "value": value}
        )

    async def hang_up(self, channel_id: str) -> None:
        """End a channel, also one that still rings; nothing happens when it is gone."""
        await self._delete(f"/channels/{_part(channel_id)}")

    # playbacks

    async def play(self, target: str, media: str, playback_id: str) -> None:
        """Play to `channels/ID` or `bridges/ID`."""
        await self._request("POST", f"/{target}/play", {"media": media, "playbackId": playback_id})

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
        await self._request(
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
            await self._request("POST", f"/recordings/live/{_part(name)}/stop")
        except AriNotFound:
            return

    async def live_recording_exists(self, name: str) -> bool:
        """Whether the recording goes on."""
        return await self._exists(f"/recordings/live/{_part(name)}")

    async def recording_file(self, name: str) -> bytes:
        """Fetch a stored recording."""
        return await self._repeatable("GET", f"/recordings/stored/{_part(name)}/file")

    async def delete_recording(self, name: str) -> None:
        """Delete a stored recording; nothing happens when it is gone."""
        await self._delete(f"/recordings/stored/{_part(name)}")

    # bridges

    async def create_bridge(self, bridge_id: str) -> None:
        """Make a mixing bridge."""
        await self._request("POST", "/bridges", {"type": "mixing", "bridgeId": bridge_id})

    async def add_to_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        """Let channels talk; waits behind a running playback of theirs."""
        await self._request(
            "POST", f"/bridges/{_part(bridge_id)}/addChannel", {"channel": list(channel_ids)}
        )

    async def delete_bridge(self, bridge_id: str) -> None:
        """Delete a bridge; its channels stay. Nothing happens when it is gone."""
        await self._delete(f"/bridges/{_part(bridge_id)}")

    async def _exists(self, path: str) -> bool:
        try:
            await self._repeatable("GET", path)
        except AriNotFound:
            return False
        return True

    async def _delete(self, path: str) -> None:
        try:
            await self._repeatable("DELETE", path)
        except AriNotFound:
            return

    async def _repeatable(self, method: str, path: str) -> bytes:
        """Send a request that may be sent twice; up to three times when no answer comes."""
        async for attempt in stamina.retry_context(
            on=AriUnavailable, attempts=3, timeout=self._timeout_s, wait_initial=0.1, wait_max=0.5
        ):
            with attempt:
                return await self._request(method, path)
        raise AssertionError("stamina gives the last failure or an answer")

    async def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        sent_within_s: float | None = None,
    ) -> bytes:
        """Send one request and give the answer's body; the one place that knows httpx."""
        began = time.perf_counter()
        try:
            response = await self._http.request(
                method,
                path,
                content=orjson.dumps(body) if body is not None else None,
                headers={"Content-Type": "application/json"} if body is not None else None,
                timeout=self._timeout(sent_within_s),
            )
        except (httpx.PoolTimeout, httpx.ConnectTimeout) as error:
            raise AriNotSent(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise AriUnavailable(f"{type(error).__name__} {error}".strip()) from error
        finally:
            ARI_REQUEST_SECONDS.labels(method).observe(time.perf_counter() - began)
        if response.is_success:
            return response.content
        raise refusal_of(response)

    def _timeout(self, sent_within_s: float | None) -> httpx.Timeout:
        """Share the time until a request must have left between a free and an open connection."""
        if sent_within_s is None:
            return httpx.Timeout(self._timeout_s)
        half_s = min(sent_within_s / 2, self._timeout_s)
        return httpx.Timeout(self._timeout_s, pool=half_s, connect=half_s)


def _part(name: str) -> str:
    return quote(name, safe="")
