"""An Asterisk made of memory: answers REST requests and tells the events a script asks for.

It keeps channels, bridges, playbacks and recordings as the real one does as far as the gateway
looks; what a far end does is up to the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriUnavailable
from ari_gateway.ari.transport import Answer, Request

PROMPT_S = 3.0
WAV = b"RIFF....WAVEfmt audio"


@dataclass
class FarEnd:
    """What happens at the far end of one dialled endpoint.

    Attributes:
        rings_s: seconds until it answers or refuses; None rings until hung up on or timed out.
        refuses: a cause instead of an answer.
        sip_status: the SIP status Asterisk tells with the cause, where it does.
        dial_status: the final Dial it tells before; empty for none.
        never_heard: sends nothing at all (a dead trunk).
        leaves_s: hangs up this long after the answer.
        says: for each listening, seconds until it talks (None stays silent).
    """

    rings_s: float | None = 1.0
    refuses: int | None = None
    sip_status: int = 0
    dial_status: str = ""
    never_heard: bool = False
    leaves_s: float | None = None
    says: list[float | None] = field(default_factory=list)


def answer(status: int, json: Any = None) -> Answer:
    """Answer as Asterisk does."""
    return Answer(status, "", b"" if json is None else orjson.dumps(json), is_json=True)


def nobody(_event: ev.Event) -> None:
    """Stand for a link that is away: events are lost."""


class Asterisk:
    """The REST side; `tell` gets every event.

    Attributes:
        requests: method and path of every request, in order.
        originated: body of every originate.
        patience_s: how long each originate might wait for a connection.
        failing: status to answer instead, by (method, path prefix); 0 for no answer.
        losing: method and path of requests whose answer is lost, each once, and whether they are
            carried out.
        missing: prompts that cannot be played.
        announcers_missing: nothing can be played to a bridge.
        stores_late_s: how long after its end a recording is stored.
        gives_up_s: what is recorded cannot be written; a recording ends by itself after so long.
        startup_time: changes when it is restarted.
        foreign: channels and bridges that are not in our application.
        most_together: most channels to one endpoint at one time.
    """

    def __init__(self, far_ends: dict[str, FarEnd]) -> None:
        self.far_ends = far_ends
        self.tell: Callable[[ev.Event], None] = nobody
        self.requests: list[tuple[str, str]] = []
        self.originated: list[dict[str, Any]] = []
        self.patience_s: list[float] = []
        self.played: list[str] = []
        self.failing: dict[tuple[str, str], int] = {}
        self.losing: list[tuple[str, str, bool]] = []
        self.missing: set[str] = set()
        self.announcers_missing = False
        self.stores_late_s = 0.0
        self.gives_up_s: float | None = None
        self.startup_time = "today"
        self.channels: dict[str, FarEnd] = {}
        self.answered: set[str] = set()
        self.foreign: set[str] = set()
        self.most_together: dict[str, int] = {}
        self.bridges: dict[str, set[str]] = {}
        self.playbacks: dict[str, asyncio.Task[None]] = {}
        self.playing_to: dict[str, str] = {}
        self.recordings: dict[str, str] = {}
        self.stored: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let go of nothing."""

    async def send(self, request: Request) -> Answer:
        """Answer one request."""
        path = unquote(urlsplit(request.path).path)
        self.requests.append((request.method, path))
        for (method, prefix), status in self.failing.items():
            if request.method == method and path.startswith(prefix):
                if status == 0:
                    raise AriUnavailable("as the test wants")
                return answer(status, {"message": "as the test wants"})
        body = orjson.loads(request.content) if request.content else {}
        if request.sent_within_s is not None:
            self.patience_s.append(request.sent_within_s)
        for lost in self.losing:
            if (request.method, path) == lost[:2]:
                self.losing.remove(lost)
                if lost[2]:
                    self._answer(request.method, path.strip("/").split("/"), body)
                raise AriUnavailable("as the test wants")
        return self._answer(request.method, path.strip("/").split("/"), body)

    def _answer(self, method: str, parts: list[str], body: dict[str, Any]) -> Answer:
        by_resource = {
            "channels": self._answer_channels,
            "bridges": self._answer_bridges,
            "playbacks": self._answer_playbacks,
            "recordings": self._answer_recordings,
        }
        if parts[0] in by_resource:
            return by_resource[parts[0]](method, parts[1:], body)
        match method, parts:
            case "GET", ["asterisk", "info"]:
                return answer(200, {"status": {"startup_time": self.startup_time}})
            case "GET", ["applications", _]:
                belongs = {
                    "channel_ids": [name for name in self.channels if name not in self.foreign],
                    "bridge_ids": [name for name in self.bridges if name not in self.foreign],
                }
                return answer(200, belongs)
            case ("POST", ["applications", _, "subscription"]) | (
                "PUT",
                ["applications", _, "eventFilter"],
            ):
                return answer(200, {})
        raise AssertionError(f"the fake does not know {method} {parts}")

    def _answer_channels(self, method: str, parts: list[str], body: dict[str, Any]) -> Answer:
        match method, parts:
            case "POST", []:
                return self._originate(body)
            case "GET", []:
                found = [{"id": name, "state": self.state_of(name)} for name in self.channels]
                return answer(200, found)
            case "GET", [name]:
                return answer(200 if name in self.channels else 404, {})
            case "DELETE", [name]:
                return self._delete_channel(name)
            case "POST", [name, "answer" | "variable"]:
                return answer(204 if name in self.channels else 404, {})
            case "POST", [name, "play"]:
                return self._play(name, body)
            case "POST", [name, "record"]:
                return self._record(name, body)
        raise AssertionError(f"the fake does not know {method} channels {parts}")

    def _answer_bridges(self, method: str, parts: list[str], body: dict[str, Any]) -> Answer:
        match method, parts:
            case "POST", [name] if name in self.bridges:
                return answer(409, {"message": "exists"})
            case "POST", [name]:
                self.bridges[name] = set()
            case "GET", [name]:
                members = self.bridges.get(name)
                status = 404 if members is None else 200
                return answer(status, {"channels": sorted(members or ())})
            case "POST", [name, "play"]:
                if self.announcers_missing:
                    return answer(500, {"message": "Could not create channel"})
                self.playbacks[body["playbackId"]] = self._spawn(self._playing("", body))
            case "POST", [name, "addChannel"]:
                if not set(body["channel"]) <= set(self.channels):
                    return answer(400, {"message": "Channel not found"})
                self.bridges[name].update(body["channel"])
            case "DELETE", [name]:
                self.bridges.pop(name, None)
            case _:
                raise AssertionError(f"the fake does not know {method} bridges {parts}")
        return answer(200, {})

    def _answer_playbacks(self, method: str, parts: list[str], _body: dict[str, Any]) -> Answer:
        known = parts[0] in self.playbacks
        if known and method == "DELETE":
            self.playbacks.pop(parts[0]).cancel()
            self.tell(
                ev.PlaybackFinished(self.playing_to.get(parts[0], ""), parts[0], failed=False)
            )
        return answer(200 if known else 404, {})

    def _answer_recordings(self, method: str, parts: list[str], _body: dict[str, Any]) -> Answer:
        match method, parts:
            case _, ["live", name, *_] if name not in self.recordings:
                return answer(404, {})
            case "POST", ["live", name, "stop"]:
                self._finish_recording(name)
            case "GET", ["stored"]:
                return answer(200, [{"name": name} for name in self.stored])
            case "GET", ["stored", name, "file"]:
                if name not in self.stored:
                    return answer(404, {"message": "Recording not found"})
                audio = WAV if self.gives_up_s is None else bytes(999)
                return Answer(200, "", audio, is_json=False)
            case "DELETE", ["stored", name]:
                self.stored.discard(name)
        return answer(200, {})

    # channels

    def _originate(self, body: dict[str, Any]) -> Answer:
        self.originated.append(body)
        name = body["channelId"]
        if name in self.channels:
            return answer(409, {"message": "exists"})
        far_end = self.far_ends.get(body["endpoint"])
        if far_end is None:
            return answer(500, {"message": "Allocation failed"})
        self.channels[name] = far_end
        together = sum(channel is far_end for channel in self.channels.values())
        self.most_together[body["endpoint"]] = max(
            together, self.most_together.get(body["endpoint"], 0)
        )
        self._spawn(self._ring(name, far_end, body))
        return answer(200, {"id": name})

    async def _ring(self, name: str, far_end: FarEnd, body: dict[str, Any]) -> None:
        if not far_end.never_heard:
            self.tell(ev.Dial(name, "RINGING"))
        within_s = float(body["timeout"])
        waits_s = within_s if far_end.rings_s is None else far_end.rings_s
        await asyncio.sleep(min(waits_s, within_s))
        if name not in self.channels:
            return
        if far_end.refuses is not None or far_end.rings_s is None:
            state = "Down" if far_end.never_heard else "Ringing"
            if far_end.dial_status:
                self.tell(ev.Dial(name, far_end.dial_status))
            cause = 19 if far_end.refuses is None else far_end.refuses
            self._destroy(name, cause, state, far_end.sip_status)
            return
        self.answered.add(name)
        if self.tell is nobody:  # without a client Asterisk hangs up on who answers
            self._destroy(name, 16, "Up")
            return
        self.tell(ev.StasisStart(name, tuple(body["appArgs"].split(",")), "", "", "Up"))
        if far_end.leaves_s is not None:
            await asyncio.sleep(far_end.leaves_s)
            self.leave(name)

    def arrive(self, name: str, caller: str, dialled: str, far_end: FarEnd) -> None:
        """A new inbound channel enters the application."""
        self.channels[name] = far_end
        self.tell(ev.StasisStart(name, (), caller, dialled, "Ring"))

    def vanish(self, name: str) -> None:
        """The channel ends while nobody is told (the link is away)."""
        tell, self.tell = self.tell, nobody
        self._destroy(name, 16, "Up")
        self.tell = tell

    def state_of(self, name: str) -> str:
        """Give a channel's state in Asterisk's words."""
        return "Up" if name in self.answered else "Ringing"

    def leave(self, name: str) -> None:
        """The far end hangs up."""
        if name in self.channels:
            self.tell(ev.ChannelHangupRequest(name, soft=False))
            self._destroy(name, 16, "Up")

    def _delete_channel(self, name: str) -> Answer:
        if name not in self.channels:
            return answer(404, {})
        self._destroy(name, 16, "Up")
        return answer(204)

    def _destroy(self, name: str, cause: int, state: str, sip_status: int = 0) -> None:
        del self.channels[name]
        for recording, channel in list(self.recordings.items()):
            if channel == name:
                self._finish_recording(recording)
        self.tell(ev.ChannelDestroyed(name, cause, sip_status, state))

    # playing and recording

    def _play(self, name: str, body: dict[str, Any]) -> Answer:
        if name not in self.channels:
            return answer(404, {})
        self.played.append(body["media"].rpartition("/")[2])
        self.playing_to[body["playbackId"]] = name
        self.playbacks[body["playbackId"]] = self._spawn(self._playing(name, body))
        return answer(201, {})

    async def _playing(self, name: str, body: dict[str, Any]) -> None:
        playback_id = body["playbackId"]
        failed = body["media"].rpartition("/")[2] in self.missing
        self.tell(ev.PlaybackStarted(name, playback_id))
        await asyncio.sleep(0 if failed else PROMPT_S)
        self.playbacks.pop(playback_id, None)
        self.tell(ev.PlaybackFinished(name, playback_id, failed or self._is_gone(name)))

    def _is_gone(self, name: str) -> bool:
        return bool(name) and name not in self.channels

    def _record(self, name: str, body: dict[str, Any]) -> Answer:
        if name not in self.channels:
            return answer(404, {})
        self.recordings[body["name"]] = name
        if self.gives_up_s is not None:
            self._spawn(self._give_up(body["name"], self.gives_up_s))
        says = self.channels[name].says
        after_s = says.pop(0) if says else None
        if after_s is not None:
            self._spawn(self._talk(name, after_s))
        return answer(201, {})

    async def _talk(self, name: str, after_s: float) -> None:
        """Talk some time after the recording begins: when what plays has ended."""
        while any(self.playing_to[playback] == name for playback in self.playbacks):
            await asyncio.sleep(0.01)
        await asyncio.sleep(after_s)
        self.tell(ev.TalkingStarted(name))
        await asyncio.sleep(1.2)
        self.tell(ev.TalkingFinished(name, 500))

    async def _give_up(self, recording: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if recording in self.recordings:
            self._finish_recording(recording)

    def _finish_recording(self, name: str) -> None:
        channel = self.recordings.pop(name)
        if self.stores_late_s:
            self._spawn(self._store_late(channel, name))
        else:
            self._store(channel, name)

    async def _store_late(self, channel: str, name: str) -> None:
        await asyncio.sleep(self.stores_late_s)
        self._store(channel, name)

    def _store(self, channel: str, name: str) -> None:
        self.stored.add(name)
        self.tell(ev.RecordingFinished(channel, name))

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def is_empty(self) -> bool:
        """Nothing is left: no channel, bridge or recording."""
        return not (self.channels or self.bridges or self.recordings or self.stored)
