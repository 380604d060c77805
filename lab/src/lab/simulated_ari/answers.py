"""What each request is answered, and what it sets off."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from lab.simulated_ari import events
from lab.simulated_ari.asterisk import SimulatedAsterisk
from lab.simulated_ari.channel import Channel, Json

APPLICATION = "salehi"


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        body: what becomes JSON; None for none.
        file: a stored recording, which travels over HTTP only.
    """

    status: int
    reason: str
    body: Json | list[Json] | None = None
    file: bytes | None = None


DONE = Answer(204, "No Content")
_GONE = Answer(404, "Not Found", {"message": "not found"})


def _created(body: Json) -> Answer:
    return Answer(201, "Created", body)


def _found(body: Json | list[Json]) -> Answer:
    return Answer(200, "OK", body)


class Answers:
    """Answers requests one after the other, as one connection of Asterisk does."""

    def __init__(self, asterisk: SimulatedAsterisk) -> None:
        self._asterisk = asterisk
        self._started = events.now()
        self._wav = _reply_wav()

    def channel_of(self, path: str) -> str:
        """Name the channel a request is about; empty when it is about none that lives."""
        asterisk = self._asterisk
        match [unquote(part) for part in path.split("/")]:
            case ["channels", name, *_]:
                return name
            case ["playbacks", name]:
                return asterisk.playbacks.get(name, ("", ""))[0].partition(":")[2]
            case ["recordings", "live" | "stored", name, *_]:
                return asterisk.recordings.get(name) or asterisk.stored.get(name, "")
        return ""

    async def answer(self, method: str, path: str, content: bytes) -> Answer:
        """Do what is asked; `path` has no leading slash and no query."""
        body: Json = orjson.loads(content) if content else {}
        parts = [unquote(part) for part in path.split("/")]
        match parts[0]:
            case "channels":
                return await self._channels(method, parts[1:], body)
            case "bridges":
                return await self._bridges(method, parts[1:], body)
            case "playbacks":
                return self._playbacks(method, parts[1])
            case "recordings":
                return self._recordings(method, parts[1:])
        return self._system(method, parts)

    def _system(self, method: str, parts: list[str]) -> Answer:
        asterisk = self._asterisk
        match method, parts:
            case "GET", ["asterisk", "ping"]:
                return _found({"ping": "pong"})
            case "GET", ["asterisk", "info"]:
                return _found({"status": {"startup_time": self._started}})
            case "GET", ["applications", name]:
                ids = {"channel_ids": list(asterisk.channels), "bridge_ids": list(asterisk.bridges)}
                return _found({"name": name, **ids})
            case "POST" | "PUT", ["applications", name, _]:
                return _found({"name": name})
        return _GONE

    async def _channels(self, method: str, parts: list[str], body: Json) -> Answer:
        match method, parts:
            case "POST", []:
                if body["channelId"] in self._asterisk.channels:
                    return Answer(409, "Conflict", {"message": "Channel exists"})
                return _found(self._asterisk.originate(body).described())
            case "GET", []:
                channels = self._asterisk.channels.values()
                return _found([channel.described() for channel in channels])
        channel = self._asterisk.channels.get(parts[0])
        if channel is None:
            return _GONE
        return await self._channel(method, channel, parts[1:], body)

    async def _channel(self, method: str, channel: Channel, parts: list[str], body: Json) -> Answer:
        match method, parts:
            case "GET", []:
                return _found(channel.described())
            case "DELETE", []:
                self._asterisk.soon(channel, lambda: self._asterisk.hang_up(channel))
                return DONE
            case "POST", ["answer" | "variable"]:
                await channel.quiet.wait()
                return DONE
            case "POST", ["play"]:
                target = f"channel:{channel.id}"
                return _created(self._asterisk.play(target, body["media"], body["playbackId"]))
            case "POST", ["record"]:
                return _created(self._asterisk.record(channel, body))
        return _GONE

    async def _bridges(self, method: str, parts: list[str], body: Json) -> Answer:
        bridges = self._asterisk.bridges
        match method, parts:
            case "POST", [name] if name not in bridges:
                bridges[name] = []
                return _found({"id": name, "channels": []})
            case _, [name, *rest] if name in bridges:
                return await self._bridge(method, name, rest, body)
        return _GONE

    async def _bridge(self, method: str, name: str, parts: list[str], body: Json) -> Answer:
        bridges = self._asterisk.bridges
        match method, parts:
            case "GET", []:
                return _found({"id": name, "channels": bridges[name]})
            case "DELETE", []:
                del bridges[name]
                return DONE
            case "POST", ["play"]:
                target = f"bridge:{name}"
                return _created(self._asterisk.play(target, body["media"], body["playbackId"]))
            case "POST", ["addChannel"]:
                return await self._add(name, body["channel"])
        return _GONE

    async def _add(self, bridge_id: str, channel_ids: list[str]) -> Answer:
        for channel_id in channel_ids:
            channel = self._asterisk.channels.get(channel_id)
            if channel is None:
                return Answer(400, "Bad Request", {"message": "Channel not found"})
            await channel.quiet.wait()
            self._asterisk.enter(bridge_id, channel)
        return DONE

    def _playbacks(self, method: str, name: str) -> Answer:
        if name not in self._asterisk.playbacks:
            return _GONE
        if method == "DELETE":
            self._asterisk.end_playback(name)
            return DONE
        return _found({"id": name})

    def _recordings(self, method: str, parts: list[str]) -> Answer:
        asterisk = self._asterisk
        match method, parts:
            case "GET", ["stored"]:
                return _found([{"name": name, "format": "wav"} for name in asterisk.stored])
            case "POST", ["live", name, "stop"] if name in asterisk.recordings:
                channel = asterisk.channels[asterisk.recordings[name]]
                asterisk.soon(channel, lambda: asterisk.end_recording(name))
                return DONE
            case "GET", ["live", name] if name in asterisk.recordings:
                return _found({"name": name})
            case "GET", ["stored", name, "file"] if name in asterisk.stored:
                return Answer(200, "OK", file=self._wav)
            case "DELETE", ["stored", name] if name in asterisk.stored:
                del asterisk.stored[name]
                return DONE
        return _GONE


def _reply_wav() -> bytes:
    """Make a reply of 2.5 seconds of silence, 8 kHz mono, of the size a real one has."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(2 * 20_000))
    return file.getvalue()
