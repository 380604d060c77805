"""The events of a call, in the shapes of Asterisk 22."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Tell: TypeAlias = Callable[[str, str, Json], None]
"""Tells an event: its type, the channel it is about, and the rest of it."""

QUALITY_VARIABLES = (
    "RTPAUDIOQOS",
    "RTPAUDIOQOSJITTER",
    "RTPAUDIOQOSLOSS",
    "RTPAUDIOQOSRTT",
    "RTPAUDIOQOSMES",
)
QUALITY = "   minrxmes=088.087887;   maxrxmes=088.087887;   avgrxmes=088.087887;" * 2


def now() -> str:
    """Give the time as ARI writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def playback(playback_id: str, media: str, target: str, state: str) -> Json:
    """Describe a playback."""
    return {
        "id": playback_id,
        "media_uri": media,
        "target_uri": target,
        "language": "en",
        "state": state,
    }


def recording(name: str, target: str, state: str) -> Json:
    """Describe a recording."""
    return {"name": name, "format": "wav", "state": state, "target_uri": target}
