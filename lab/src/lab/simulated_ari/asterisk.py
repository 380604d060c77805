"""What happens on the channels: requests begin it, timers carry it on, events tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lab.simulated_ari import events
from lab.simulated_ari.channel import Channel, Json
from lab.simulated_ari.people import People

_PROGRESS_S = 0.01
_TALK_DETECT = "TALK_DETECT(set)"


class SimulatedAsterisk:
    """Channels, playbacks, recordings and bridges.

    Attributes:
        originated: how many channels were ever dialled.
        most_channels: how many lived at once at most.
    """

    def __init__(self, people: People, tell: events.Tell) -> None:
        self._people = people
        self._tell = tell
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, list[str]] = {}
        self.playbacks: dict[str, tuple[str, str]] = {}
        self.recordings: dict[str, str] = {}
        self.stored: dict[str, str] = {}
        self.originated = 0
        self.most_channels = 0

    # dialling

    def originate(self, body: Json) -> Channel:
        """Dial; the rest is told by events."""
        silence_ms = str(body.get("variables", {}).get(_TALK_DETECT, "2500")).partition(",")[0]
        channel = Channel(
            id=body["channelId"],
            endpoint=body["endpoint"],
            number=body.get("callerId", ""),
            args=tuple(body.get("appArgs", "").split(",")),
            silence_s=int(silence_ms) / 1000,
        )
        channel.quiet.set()
        self.channels[channel.id] = channel
        self.originated += 1
        self.most_channels = max(self.most_channels, len(self.channels))
        people = self._people
        rings_s = people.rings_s if self._is_customer(channel) else people.operator_rings_s
        self._later(channel, 0, lambda: self._tell_dial(channel, ""))
        self._later(channel, _PROGRESS_S, lambda: self._ring(channel))
        if rings_s < body["timeout"]:
            self._later(channel, rings_s, lambda: self._answer(channel))
        else:
            self._later(channel, body["timeout"], lambda: self._destroy(channel, 19))
        return channel

    def _is_customer(self, channel: Channel) -> bool:
        return channel.trunk == self._people.trunk

    def _tell_dial(self, channel: Channel, status: str) -> None:
        dialled = channel.endpoint.removeprefix("PJSIP/")
        news = {"dialstatus": status, "forward": "", "dialstring": dialled}
        self._tell("Dial", channel.id, {**news, "peer": channel.described()})

    def _ring(self, channel: Channel) -> None:
        self._tell_dial(channel, "RINGING")
        channel.state = "Ringing"
        self._about("ChannelStateChange", channel)

    def _answer(self, channel: Channel) -> None:
        channel.state = "Up"
        self._about("ChannelStateChange", channel)
        self._tell_dial(channel, "ANSWER")
        self._about("ChannelVarset", channel, variable="STASISSTATUS", value="")
        self._about("StasisStart", channel, args=list(channel.args))
        if not self._is_customer(channel):
            talks_s = self._people.operator_talks_s
            self._later(channel, talks_s, lambda: self.hang_up(channel, by_us=False))

    # the end of a channel

    def hang_up(self, channel: Channel, *, by_us: bool = True) -> None:
        """End a channel; nothing happens when it is gone."""
        if channel.id not in self.channels:
            return
        if channel.state != "Up":
            self._destroy(channel, 16)
            return
        for variable in events.QUALITY_VARIABLES:
            self._about("ChannelVarset", channel, variable=variable, value=events.QUALITY)
        soft = {"soft": True} if by_us else {}
        self._about("ChannelHangupRequest", channel, cause=32 if by_us else 16, **soft)
        if channel.bridge in self.bridges:
            self.bridges[channel.bridge].remove(channel.id)
            self._about("ChannelLeftBridge", channel, bridge={"id": channel.bridge})
        if channel.playing:
            self.end_playback(channel.playing, "failed")
        if channel.recording:
            self.end_recording(channel.recording)
        self._about("StasisEnd", channel)
        self._about("ChannelVarset", channel, variable="STASISSTATUS", value="SUCCESS")
        self._destroy(channel, 16)

    def _destroy(self, channel: Channel, cause: int) -> None:
        for timer in channel.timers:
            timer.cancel()
        del self.channels[channel.id]
        self._about("ChannelDestroyed", channel, cause=cause, cause_txt="Normal Clearing")

    # playing

    def play(self, target: str, media: str, playback_id: str) -> Json:
        """Play to `channel:ID` or `bridge:ID`; give the playback."""
        kind, _, name = target.partition(":")
        self.playbacks[playback_id] = (target, media)
        started = events.playback(playback_id, media, target, "playing")
        about = name if kind == "channel" else ""
        self._tell("PlaybackStarted", about, {"playback": started})
        channel = self.channels.get(about)
        timer = asyncio.get_running_loop().call_later(
            self._people.prompt_s, self.end_playback, playback_id, "done"
        )
        if channel is not None:
            channel.playing = playback_id
            channel.quiet.clear()
            channel.timers.add(timer)
        return started

    def end_playback(self, playback_id: str, state: str = "done") -> None:
        """End a playback, by itself or because it was stopped; nothing when it is over."""
        target, media = self.playbacks.pop(playback_id, ("", ""))
        if not target:
            return
        kind, _, name = target.partition(":")
        channel = self.channels.get(name) if kind == "channel" else None
        if channel is not None:
            channel.playing = ""
            channel.quiet.set()
        ended = events.playback(playback_id, media, target, state)
        self._tell("PlaybackFinished", channel.id if channel else "", {"playback": ended})
        if channel is not None and state == "done" and self._is_customer(channel):
            self._speak_once(channel)

    def _speak_once(self, channel: Channel) -> None:
        if channel.has_spoken:
            return
        channel.has_spoken = True
        people = self._people
        began_s = people.thinks_s
        ended_s = began_s + people.speaks_s + channel.silence_s
        spoke_ms = round(people.speaks_s * 1000)
        self._later(channel, began_s, lambda: self._about("ChannelTalkingStarted", channel))
        self._later(
            channel,
            ended_s,
            lambda: self._about("ChannelTalkingFinished", channel, duration=spoke_ms),
        )

    # recording

    def record(self, channel: Channel, body: Json) -> Json:
        """Begin to record; give the recording as it stands."""
        name, target = body["name"], f"channel:{channel.id}"
        self.recordings[name] = channel.id
        channel.recording = name
        self._later(channel, 0, lambda: self._tell_recording("RecordingStarted", name, "recording"))
        self._later(channel, body["maxDurationSeconds"], lambda: self.end_recording(name))
        return events.recording(name, target, "queued")

    def end_recording(self, name: str) -> None:
        """Store a recording; nothing when it is over."""
        if name not in self.recordings:
            return
        self._tell_recording("RecordingFinished", name, "done")
        self.stored[name] = self.recordings.pop(name)
        channel = self.channels.get(self.stored[name])
        if channel is not None:
            channel.recording = ""

    def _tell_recording(self, kind: str, name: str, state: str) -> None:
        channel_id = self.recordings.get(name)
        if channel_id is not None:
            news = events.recording(name, f"channel:{channel_id}", state)
            self._tell(kind, channel_id, {"recording": news})

    # bridges

    def enter(self, bridge_id: str, channel: Channel) -> None:
        """Put a channel into a bridge."""
        self.bridges[bridge_id].append(channel.id)
        channel.bridge = bridge_id
        self._about("ChannelEnteredBridge", channel, bridge={"id": bridge_id})

    def soon(self, channel: Channel, do: Callable[[], None]) -> None:
        """Do something after the answer to the request that asked for it."""
        self._later(channel, 0, do)

    def _about(self, kind: str, channel: Channel, **news: object) -> None:
        self._tell(kind, channel.id, {**news, "channel": channel.described()})

    def _later(self, channel: Channel, after_s: float, do: Callable[[], None]) -> None:
        channel.timers.add(asyncio.get_running_loop().call_later(after_s, do))
