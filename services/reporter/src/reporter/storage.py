"""How the reporter stores moments and texts."""

from __future__ import annotations

from datetime import UTC, datetime

from servicekit.clock import Clock


def unix_ms(clock: Clock) -> int:
    """Give the present moment as stored."""
    return int(clock.now().timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """Give a stored moment as an aware UTC time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def storable(text: str, length: int) -> str:
    """Cut a text to its column; PostgreSQL stores no NUL."""
    return text.replace("\0", "")[:length]
