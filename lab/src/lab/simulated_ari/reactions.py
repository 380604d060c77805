"""How long the engine takes from an event to its next command, seen from Asterisk."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

# Events that a command answers at once; after any other, the engine may well wait for something.
_ANSWERED_AT_ONCE = frozenset(
    {"StasisStart", "PlaybackFinished", "ChannelTalkingFinished", "RecordingFinished"}
)


class Reactions:
    """Times from an event about a channel to the next command about it, by type of event.

    An event after which another one comes first had nothing to answer, and does not count.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, float]] = {}
        self._took_ms: defaultdict[str, list[float]] = defaultdict(list)

    def told(self, kind: str, channel_id: str) -> None:
        """An event was sent."""
        if kind in _ANSWERED_AT_ONCE:
            self._open[channel_id] = (kind, time.perf_counter())
        elif kind != "ChannelVarset":
            self._open.pop(channel_id, None)

    def commanded(self, channel_id: str) -> None:
        """A command came in."""
        event = self._open.pop(channel_id, None)
        if event is not None:
            self._took_ms[event[0]].append((time.perf_counter() - event[1]) * 1000)

    def figures(self) -> dict[str, Any]:
        """Give count, p50, p99 and maximum in milliseconds, by type of event and for all."""
        every = [took for all_of_kind in self._took_ms.values() for took in all_of_kind]
        return {kind: _spread(took) for kind, took in [*self._took_ms.items(), ("all", every)]}

    def forget(self) -> None:
        """Begin anew."""
        self._took_ms.clear()


def _spread(took_ms: list[float]) -> dict[str, float]:
    if not took_ms:
        return {"count": 0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
    ordered = sorted(took_ms)
    return {
        "count": len(ordered),
        "p50_ms": ordered[len(ordered) // 2],
        "p99_ms": ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)],
        "max_ms": ordered[-1],
    }
