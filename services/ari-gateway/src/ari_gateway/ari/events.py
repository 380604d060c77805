"""Events of Asterisk that the engine acts on, typed; all others are left out.

Shapes: the ARI event models of Asterisk 20 to 22. Every event names the channel it is about, so
that it finds its call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ari_gateway.ari.errors import AriEventInvalid

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a channel.

    Attributes:
        channel_id: the channel; empty for what is not about one (a playback on a bridge).
    """

    channel_id: str


@dataclass(frozen=True, slots=True)
class StasisStart(Event):
    """A channel entered our application: an answer, or an inbound call.

    Attributes:
        args: the application's arguments; they tell legs apart.
        caller_number: who calls, as received; personal data.
        dialled: the extension that was dialled (inbound: our line).
        state: Asterisk's channel state ("Up", "Ring").
    """

    args: tuple[str, ...]
    caller_number: str
    dialled: str
    state: str


@dataclass(frozen=True, slots=True)
class StasisEnd(Event):
    """A channel left our application."""


@dataclass(frozen=True, slots=True)
class Dial(Event):
    """News of a dialled channel.

    Attributes:
        status: empty at the begin, then RINGING, PROGRESS, …, and one final (ANSWER, BUSY, …).
    """

    status: str


@dataclass(frozen=True, slots=True)
class ChannelStateChange(Event):
    """A channel's state changed ("Ring", "Ringing", "Up")."""

    state: str


@dataclass(frozen=True, slots=True)
class ChannelHangupRequest(Event):
    """A hang-up was asked for: by the far end, or by us (soft)."""

    soft: bool


@dataclass(frozen=True, slots=True)
class ChannelDestroyed(Event):
    """A channel is no more.

    Attributes:
        cause: Q.850 cause; 0 or 16 for a plain hang-up.
        sip_status: SIP status where this Asterisk tells it, else 0.
        state: the channel's last state; "Down" when the far end never even rang.
    """

    cause: int
    sip_status: int
    state: str


@dataclass(frozen=True, slots=True)
class PlaybackStarted(Event):
    """A playback began."""

    playback_id: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished(Event):
    """A playback ended; `failed` when the file is missing or the channel went away."""

    playback_id: str
    failed: bool


@dataclass(frozen=True, slots=True)
class RecordingFinished(Event):
    """A recording is stored (also after a hang-up)."""

    name: str


@dataclass(frozen=True, slots=True)
class RecordingFailed(Event):
    """A recording could not be made."""

    name: str


@dataclass(frozen=True, slots=True)
class TalkingStarted(Event):
    """The far end began to talk."""


@dataclass(frozen=True, slots=True)
class TalkingFinished(Event):
    """The far end has been silent for the time set by TALK_DETECT.

    Attributes:
        duration_ms: how long it had talked, milliseconds.
    """

    duration_ms: int


@dataclass(frozen=True, slots=True)
class ApplicationReplaced(Event):
    """Another client took our application; this one gets no more events."""


def parse(message: Json) -> Event | None:
    """Turn one decoded event into its type; None for a type the engine does not act on.

    Raises:
        AriEventInvalid: a known type of an unknown shape.
    """
    kind = message.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        return None
    try:
        return read(message)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AriEventInvalid(f"{kind}: {type(error).__name__} {error}") from error


def _channel_id(message: Json) -> str:
    return str(message["channel"]["id"])


def _target_channel(uri: str) -> str:
    kind, _, target = uri.partition(":")
    return target if kind == "channel" else ""


def _stasis_start(message: Json) -> StasisStart:
    channel = message["channel"]
    return StasisStart(
        channel_id=str(channel["id"]),
        args=tuple(str(arg) for arg in message.get("args", ())),
        caller_number=str(channel.get("caller", {}).get("number", "")),
        dialled=str(channel.get("dialplan", {}).get("exten", "")),
        state=str(channel.get("state", "")),
    )


def _destroyed(message: Json) -> ChannelDestroyed:
    return ChannelDestroyed(
        channel_id=_channel_id(message),
        cause=int(message.get("cause", 0)),
        sip_status=int(message.get("tech_cause") or 0),
        state=str(message["channel"].get("state", "")),
    )


def _playback_finished(message: Json) -> PlaybackFinished:
    playback = message["playback"]
    return PlaybackFinished(
        _target_channel(playback["target_uri"]), playback["id"], playback.get("state") == "failed"
    )


_READERS: dict[str, Callable[[Json], Event]] = {
    "StasisStart": _stasis_start,
    "StasisEnd": lambda m: StasisEnd(_channel_id(m)),
    "Dial": lambda m: Dial(str(m["peer"]["id"]), str(m.get("dialstatus", ""))),
    "ChannelStateChange": lambda m: ChannelStateChange(_channel_id(m), str(m["channel"]["state"])),
    "ChannelHangupRequest": lambda m: ChannelHangupRequest(_channel_id(m), bool(m.get("soft"))),
    "ChannelDestroyed": _destroyed,
    "PlaybackStarted": lambda m: PlaybackStarted(
        _target_channel(m["playback"]["target_uri"]), m["playback"]["id"]
    ),
    "PlaybackFinished": _playback_finished,
    "RecordingFinished": lambda m: RecordingFinished(
        _target_channel(m["recording"]["target_uri"]), m["recording"]["name"]
    ),
    "RecordingFailed": lambda m: RecordingFailed(
        _target_channel(m["recording"]["target_uri"]), m["recording"]["name"]
    ),
    "ChannelTalkingStarted": lambda m: TalkingStarted(_channel_id(m)),
    "ChannelTalkingFinished": lambda m: TalkingFinished(_channel_id(m), int(m["duration"])),
    "ApplicationReplaced": lambda _: ApplicationReplaced(""),
}
