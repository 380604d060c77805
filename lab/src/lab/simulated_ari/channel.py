"""One channel as ARI describes it, and what goes on on it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lab.simulated_ari.events import now

Json: TypeAlias = dict[str, Any]


@dataclass
class Channel:
    """A channel.

    Attributes:
        args: our application's arguments for this leg.
        silence_s: silence after which talk detection says that the talk is over.
        has_spoken: the person has said what there was to say.
        playing: id of the playback under way; empty without one.
        quiet: set while nothing is played.
        recording: name of the recording under way; empty without one.
        timers: what is to happen on this channel; cancelled at its end.
    """

    id: str
    endpoint: str
    number: str
    args: tuple[str, ...] = ()
    silence_s: float = 2.5
    state: str = "Down"
    has_spoken: bool = False
    playing: str = ""
    recording: str = ""
    bridge: str = ""
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    timers: set[asyncio.TimerHandle] = field(default_factory=set)
    created: str = field(default_factory=now)
    protocol_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def trunk(self) -> str:
        """The PJSIP endpoint behind which the far end is."""
        return self.endpoint.rpartition("@")[2]

    def described(self) -> Json:
        """Describe it as ARI does."""
        in_application = self.state == "Up"
        return {
            "id": self.id,
            "name": f"PJSIP/{self.trunk}-{self.protocol_id[:8]}",
            "state": self.state,
            "protocol_id": self.protocol_id,
            "caller": {"name": "", "number": self.number},
            "connected": {"name": "", "number": self.number},
            "accountcode": "",
            "dialplan": {
                "context": f"from-{self.trunk}",
                "exten": "s",
                "priority": 1,
                "app_name": "Stasis" if in_application else "AppDial2",
                "app_data": ",".join(self.args) if in_application else "(Outgoing Line)",
            },
            "creationtime": self.created,
            "language": "en",
        }
