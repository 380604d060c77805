"""Moments as they are stored: Unix milliseconds, so that both databases agree on them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.clock import Clock


def unix_ms(moment: datetime) -> int:
    """Give a moment (aware) as stored."""
    return round(moment.timestamp() * 1000)


def now_ms(clock: Clock) -> int:
    """Give the present as stored."""
    return unix_ms(clock.now())


def moment_of(at_ms: int) -> datetime:
    """Give a stored moment as an aware UTC time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def timestamp_of(at_ms: int) -> Timestamp:
    """Give a stored moment as it travels."""
    timestamp = Timestamp()
    timestamp.FromMilliseconds(at_ms)
    return timestamp
